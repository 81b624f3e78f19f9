"""Connections of SQLAlchemy to the database that DATABASE_URL names, read as the functions read it."""

from sqlalchemy import URL, Engine, create_engine, pool

from common.settings import DatabaseSettings
from common.tls import database_tls


def engine(settings: DatabaseSettings, *, timeout: float | None = None) -> Engine:
    """Return an engine that keeps no connection.

    `timeout` is in seconds, for connecting and for every answer. Raises SettingsError.
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
