"""The functions, with a wire between them and PostgreSQL that can be read and broken."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.data import Database
from tests.support.wire import Wire

if TYPE_CHECKING:
    from common.database import Session


@pytest.fixture
def wire(database: Database) -> Iterator[Wire]:
    """Return a wire to the database of this worker."""
    with Wire(database.url).running() as wire:
        yield wire


@pytest.fixture
def session(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Iterator["Session"]:
    """Return a session over the wire that the functions use; it has no connection yet."""
    # It reads the environment, which is not there yet when pytest imports this file.
    from common import database  # noqa: PLC0415

    monkeypatch.setenv("DATABASE_URL", wire.url)
    session = database.Session()
    monkeypatch.setattr(database, "_session", session)
    yield session
    session.disconnect()
