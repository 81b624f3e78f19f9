"""Connections of SQLAlchemy to the database."""

from sqlalchemy import URL, Engine, create_engine, pool

from common.settings import DatabaseSettings
from common.tls import database_tls


def engine(settings: DatabaseSettings, *, timeout: float | None = None) -> Engine:
    """Return an engine that opens a connection for each use, and closes it afterwards.

    `timeout` is in seconds and bounds connecting and each response; None waits without end.
    """
    url = URL.create(
        "postgresql+pg8000",
        settings.user,
        settings.password,
        settings.host,
        settings.port,
        settings.name,
    )
    return create_engine(
        url, poolclass=pool.NullPool, connect_args={"ssl_context": database_tls(settings), "timeout": timeout}
    )
