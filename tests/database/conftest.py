"""The functions, with a proxy between them and PostgreSQL that records messages and injects faults."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.data import Database
from tests.support.postgres_proxy import PostgresProxy

if TYPE_CHECKING:
    from common.database import ManagedConnection


@pytest.fixture
def proxy(database: Database) -> Iterator[PostgresProxy]:
    """Return a proxy to the database of this worker."""
    with PostgresProxy(database.url).running() as proxy:
        yield proxy


@pytest.fixture
def session(proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator["ManagedConnection"]:
    """Return the session that the functions use. It leads through the proxy and has no connection yet."""
    # It reads the environment, which is not there yet when pytest imports this file.
    from common import database  # noqa: PLC0415

    monkeypatch.setenv("DATABASE_URL", proxy.url)
    session = database.ManagedConnection()
    monkeypatch.setattr(database, "_connection", session)
    yield session
    session.disconnect()
