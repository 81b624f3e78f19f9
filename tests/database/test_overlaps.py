"""What becomes of two statements that overlap, of which neither sees what the other does."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

import auth.queries
import users.queries
from common.database import Query, Session
from tests.ask import ask
from tests.data import PASSWORD_HASH, Database

NEW_HASH = "another hash"


@contextmanager
def under_way(query: Query[..., Any], **values: object) -> Iterator[None]:
    """Run a statement over a connection of its own, and commit it at the end."""
    session = Session()
    try:
        ask(session, "BEGIN")
        session.run(query, [values[name] for name in query.parameters])
        yield
        ask(session, "COMMIT")
    finally:
        session.disconnect()


@pytest.fixture
def ada(database: Database) -> int:
    """Return the id of a user."""
    return database.add_user()


@pytest.fixture
def here(ada: int) -> UUID:
    """Return a session of the user's, with the refresh token `here`."""
    return log_in(ada, "here")


def log_in(user: int, token: str) -> UUID:
    [opened] = auth.queries.open_session(user_id=user, seen_hash=PASSWORD_HASH, token_hash=token)
    return opened.id


def change_password(user: int, session: UUID) -> None:
    assert users.queries.change_password(
        user_id=user, seen_hash=PASSWORD_HASH, password=NEW_HASH, session_id=session
    )


def renews(token: str) -> bool:
    return bool(auth.queries.renew_session(token_hash=token, next_hash=f"{token} next"))


def uses(database: Database) -> int:
    number: int = database.value("SELECT count(used_at) FROM refresh_tokens")
    return number


def test_a_login_that_ends_after_its_password_was_changed_opens_nothing_that_lasts(
    ada: int, here: UUID, database: Database
) -> None:
    login = {"user_id": ada, "seen_hash": PASSWORD_HASH, "token_hash": "late"}
    with under_way(auth.queries.open_session, **login):
        change_password(ada, here)
    assert not renews("late")
    assert uses(database) == 0
    assert renews("here")


def test_a_login_that_does_not_see_its_password_being_changed_opens_nothing_that_lasts(
    ada: int, here: UUID, database: Database
) -> None:
    change = {"user_id": ada, "seen_hash": PASSWORD_HASH, "password": NEW_HASH, "session_id": here}
    with under_way(users.queries.change_password, **change):
        log_in(ada, "late")
    assert not renews("late")
    assert uses(database) == 0
    assert renews("here")


@pytest.mark.parametrize("token", ["here", "elsewhere"])
def test_a_refresh_that_waits_for_a_change_of_the_password_goes_on_where_it_was_changed(
    token: str, ada: int, here: UUID, database: Database
) -> None:
    log_in(ada, "elsewhere")
    change = {"user_id": ada, "seen_hash": PASSWORD_HASH, "password": NEW_HASH, "session_id": here}
    with ThreadPoolExecutor(1) as pool:
        with under_way(users.queries.change_password, **change):
            renewed = pool.submit(renews, token)
            database.wait_for_locks(1)
        assert renewed.result() == (token == "here")
    assert renews(f"{token} next") == (token == "here")


@pytest.mark.parametrize("token", ["here", "elsewhere"])
def test_a_change_of_the_password_that_waits_for_a_refresh_leaves_what_it_was_made_in(
    token: str, ada: int, here: UUID, database: Database
) -> None:
    log_in(ada, "elsewhere")
    with ThreadPoolExecutor(1) as pool:
        with under_way(auth.queries.renew_session, token_hash=token, next_hash=f"{token} next"):
            changed = pool.submit(change_password, ada, here)
            database.wait_for_locks(1)
        changed.result()
    assert renews(f"{token} next") == (token == "here")
