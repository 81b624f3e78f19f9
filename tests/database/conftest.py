"""The functions, with a proxy between them and PostgreSQL that records messages and injects faults."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from common.settings import parse_database_url
from tests.support.database import Database
from tests.support.postgres_proxy import PostgresProxy

if TYPE_CHECKING:
    from common.database import ManagedConnection


@pytest.fixture
def proxy(database: Database) -> Iterator[PostgresProxy]:
    """Return a proxy to the database of this worker."""
    with PostgresProxy(database.url).running() as proxy:
        yield proxy


@pytest.fixture
def connection(proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator["ManagedConnection"]:
    """Return the connection that the functions use. It leads through the proxy and is not open yet."""
    # Imported here, because its logger reads environment variables that are set after this file is imported.
    from common import database  # noqa: PLC0415

    connection = database.ManagedConnection(parse_database_url(proxy.url, local=True))
    monkeypatch.setattr(database, "managed_connection", lambda: connection)
    yield connection
    connection.disconnect()
