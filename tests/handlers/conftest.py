"""An empty database, and accounts in it."""

from collections.abc import Iterator

import pytest

from common import passwords
from tests.support.database import PASSWORD_HASH, Database


@pytest.fixture(autouse=True)
def _empty_database(database: Database) -> None:
    """Empty the tables before each test."""


@pytest.fixture
def own_connection_per_thread() -> Iterator[None]:
    """Give each thread a connection of its own, as if it were an execution environment."""
    # Imported here, because the import reads environment variables that are set after this file is imported.
    from tests.support.connections import connection_per_thread  # noqa: PLC0415

    with connection_per_thread():
        yield


@pytest.fixture
def ada(database: Database) -> int:
    """Return the id of a user."""
    return database.add_user("ada@example.com")


@pytest.fixture
def bob(database: Database) -> int:
    """Return the id of another user."""
    return database.add_user("bob@example.com")


@pytest.fixture
def deleted_user(database: Database) -> int:
    """Return the id of a user who was deleted but still has a valid token."""
    user_id = database.add_user("gone@example.com")
    database.run("DELETE FROM users WHERE id = :user_id", user_id=user_id)
    return user_id


@pytest.fixture
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash new passwords with the lowest cost of bcrypt."""
    monkeypatch.setattr(passwords, "BCRYPT_COST", 4)
    monkeypatch.setattr(passwords, "DUMMY_HASH", PASSWORD_HASH)
