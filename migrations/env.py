"""Runs the revisions; alembic imports it."""

from alembic import context
from sqlalchemy import create_engine, make_url, pool

from common.models import Base

url = make_url(context.config.attributes["database_url"]).set(drivername="postgresql+pg8000")
engine = create_engine(url, poolclass=pool.NullPool)

with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=True)
    with context.begin_transaction():
        context.run_migrations()
