"""Connections of SQLAlchemy to the database that DATABASE_URL names, read as the functions read it."""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Engine, create_engine, pool

from common.settings import database_settings


def engine(password: str | None = None, *, timeout: float | None = None) -> Engine:
    """Return an engine that keeps no connection; a password goes before that of the URL.

    `timeout` is in seconds, for connecting and for every answer. Raises SettingsError.
    """
    settings = database_settings()
    url = URL.create(
        "postgresql+pg8000",
        settings.user,
        password or settings.password,
        settings.host,
        settings.port,
        settings.name,
    )
    tls = ssl.create_default_context(cafile=settings.ca) if settings.tls else False
    return create_engine(url, poolclass=pool.NullPool, connect_args={"ssl_context": tls, "timeout": timeout})


@contextmanager
def locally(database_url: str) -> Iterator[None]:
    """Name a database to `engine` as the local run names it to the functions: in the environment."""
    names = {"STAGE": "local", "DATABASE_URL": database_url}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
