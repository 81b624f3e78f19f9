"""Concurrent statements that do not see each other's changes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

import auth.addresses
import auth.queries
import auth.recovery
import maintenance.queries
import posts.queries
import users.queries
from common.database import ManagedConnection, Statement
from common.principal import Principal
from common.rows import Attempt
from common.settings import database_settings
from tests.support.connections import run_sql
from tests.support.database import PASSWORD_HASH, PER_DAY, Database, connect, principal_of
from users.rows import Address, EmailChange

NEW_HASH = "another hash"
# A statement, and its parameters after the principal.
Change = tuple[Statement[..., Any], tuple[Any, ...], dict[str, Any]]


@contextmanager
def open_transaction(query: Statement[..., Any], *objects: object, **values: object) -> Iterator[None]:
    """Run a statement on a connection of its own; commit at the end of the block."""
    connection = ManagedConnection(database_settings())
    try:
        run_sql(connection, "BEGIN")
        connection.run(query, query._values(objects, values))  # noqa: SLF001  # as a call of the statement does
        yield
        run_sql(connection, "COMMIT")
    finally:
        connection.disconnect()


@pytest.fixture
def ada(database: Database) -> int:
    """Return the id of a user."""
    return database.add_user()


@pytest.fixture
def here(ada: int) -> UUID:
    """Return a session of the user, with the refresh token `here`."""
    return log_in(ada, "here")


ATTEMPT = Attempt("", "", datetime.max.replace(tzinfo=UTC))


def log_in(user: int, token: str) -> UUID:
    [opened] = auth.queries.open_session(
        ATTEMPT, user_id=user, verified_hash=PASSWORD_HASH, token_hash=token, user_agent=None
    )
    return opened.id


def change_password(user: int, session: UUID) -> None:
    principal = Principal(user, str(session))
    assert users.queries.change_password(principal, ATTEMPT, verified_hash=PASSWORD_HASH, password=NEW_HASH)


def can_renew(token: str) -> bool:
    rows = auth.queries.renew_session(token_hash=token, successor_hashes=f"{token}-next", per_day=PER_DAY)
    return bool(rows) and rows[0].id is not None


def uses(database: Database) -> int:
    number: int = database.value("SELECT count(used_at) FROM refresh_tokens")
    return number


def test_a_login_that_ends_after_a_password_change_opens_no_lasting_session(
    ada: int, here: UUID, database: Database
) -> None:
    login = {"user_id": ada, "verified_hash": PASSWORD_HASH, "token_hash": "late", "user_agent": None}
    with open_transaction(auth.queries.open_session, ATTEMPT, **login):
        change_password(ada, here)
    assert not can_renew("late")
    assert uses(database) == 0
    assert can_renew("here")


def test_a_login_that_does_not_see_a_password_change_opens_no_lasting_session(
    ada: int, here: UUID, database: Database
) -> None:
    change = {"verified_hash": PASSWORD_HASH, "password": NEW_HASH}
    with open_transaction(users.queries.change_password, Principal(ada, str(here)), ATTEMPT, **change):
        log_in(ada, "late")
    assert not can_renew("late")
    assert uses(database) == 0
    assert can_renew("here")


@pytest.mark.parametrize("token", ["here", "elsewhere"])
def test_a_refresh_that_waits_for_a_password_change_continues_in_the_changing_session(
    token: str, ada: int, here: UUID, database: Database
) -> None:
    log_in(ada, "elsewhere")
    change = {"verified_hash": PASSWORD_HASH, "password": NEW_HASH}
    with ThreadPoolExecutor(1) as pool:
        with open_transaction(users.queries.change_password, Principal(ada, str(here)), ATTEMPT, **change):
            renewed = pool.submit(can_renew, token)
            database.wait_for_locks(1)
        assert renewed.result() == (token == "here")
    assert can_renew(f"{token}-next") == (token == "here")


@pytest.mark.parametrize("token", ["here", "elsewhere"])
def test_a_password_change_that_waits_for_a_refresh_keeps_its_own_session(
    token: str, ada: int, here: UUID, database: Database
) -> None:
    log_in(ada, "elsewhere")
    with ThreadPoolExecutor(1) as pool:
        with open_transaction(
            auth.queries.renew_session, token_hash=token, successor_hashes=f"{token}-next", per_day=PER_DAY
        ):
            changed = pool.submit(change_password, ada, here)
            database.wait_for_locks(1)
        changed.result()
    assert can_renew(f"{token}-next") == (token == "here")


def sign_up(email: str) -> bool:
    return bool(users.queries.create(Address(email, email), password="hash", token_hash=None))


def test_an_address_that_can_still_be_reverted_is_not_free_while_it_is_given_up(
    ada: int, database: Database
) -> None:
    # An attacker who changes the address of an account would take the old one at the same moment, so that its
    # owner could not revert the change.
    database.add_mail_token(ada, "new", "lovelace@example.com")
    with ThreadPoolExecutor(1) as pool:
        with open_transaction(auth.addresses.confirm_address, token_hash="new", revert_hash="revert"):
            signed_up = pool.submit(sign_up, "ada@example.com")
            wait([signed_up], timeout=0.5)
        assert not signed_up.result()
    assert not sign_up("ada@example.com")
    [row] = auth.addresses.confirm_address(token_hash="revert", revert_hash="unused")
    assert (row.is_revert, row.is_taken) == (True, False)


def confirm_address(token_hash: str) -> bool:
    rows = auth.addresses.confirm_address(token_hash=token_hash, revert_hash="revert")
    return bool(rows) and not rows[0].is_taken


def reset_password(token_hash: str) -> bool:
    return bool(auth.recovery.reset_password(token_hash=token_hash, client="client", password="reset"))


def test_of_two_sign_ups_with_an_address_the_second_waits_and_is_refused(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    address = Address("ada@example.com", "ada@example.com")
    with ThreadPoolExecutor(1) as pool:
        with open_transaction(users.queries.create, address, password="hash", token_hash=None):
            signed_up = pool.submit(sign_up, address.email)
            database.wait_for_locks(1)
        assert not signed_up.result()
    # Not by an error, after which the statement would run once more.
    assert caplog.records == []


LINKS: dict[Callable[[str], bool], str] = {confirm_address: "verification", reset_password: "reset"}


@pytest.mark.parametrize("use", LINKS)
def test_a_link_that_is_used_during_a_password_change_changes_nothing(
    use: Callable[[str], bool], ada: int, here: UUID, database: Database
) -> None:
    database.add_mail_token(ada, "token", "lovelace@example.com", LINKS[use])
    change = {"verified_hash": PASSWORD_HASH, "password": NEW_HASH}
    with ThreadPoolExecutor(1) as pool:
        with open_transaction(users.queries.change_password, Principal(ada, str(here)), ATTEMPT, **change):
            used = pool.submit(use, "token")
            database.wait_for_locks(1)
        assert not used.result()
    assert database.run("SELECT email, password FROM users") == [["ada@example.com", NEW_HASH]]


@pytest.mark.parametrize("first", LINKS)
def test_of_a_simultaneous_reset_and_change_of_the_address_one_succeeds(
    first: Callable[[str], bool], ada: int, database: Database
) -> None:
    for purpose in LINKS.values():
        email = "ada@example.com" if purpose == "reset" else "lovelace@example.com"
        database.add_mail_token(ada, purpose, email, purpose)
    statements: dict[Callable[[str], bool], tuple[Statement[..., Any], dict[str, str]]] = {
        confirm_address: (auth.addresses.confirm_address, {"revert_hash": "revert"}),
        reset_password: (auth.recovery.reset_password, {"client": "client", "password": NEW_HASH}),
    }
    query, values = statements[first]
    [second] = LINKS.keys() - {first}
    with ThreadPoolExecutor(1) as pool:
        with open_transaction(query, token_hash=LINKS[first], **values):
            used = pool.submit(second, LINKS[second])
            database.wait_for_locks(1)
        assert not used.result()
    [[email, password]] = database.run("SELECT email, password FROM users")
    assert (email == "ada@example.com") == (first is reset_password)
    assert (password == PASSWORD_HASH) == (first is confirm_address)


def test_a_reset_waits_for_no_post_that_its_user_is_writing(ada: int, database: Database) -> None:
    # Otherwise, an attacker who posts all the time could delay the owner.
    database.add_mail_token(ada, "token", "ada@example.com", "reset")
    with open_transaction(posts.queries.create_once, principal_of(ada), **a_post("key")):
        assert reset_password("token")


@pytest.mark.parametrize("use", LINKS)
def test_a_link_locks_its_user_before_its_token(
    use: Callable[[str], bool], ada: int, database: Database
) -> None:
    # As the statements do that change a user and remove tokens, so that no two of them wait for each other.
    database.add_mail_token(ada, "token", "ada@example.com", LINKS[use])
    with ThreadPoolExecutor(1) as pool, closing(connect(database.url)) as other:
        other.run("BEGIN")
        other.run("SELECT FROM mail_tokens FOR UPDATE")
        used = pool.submit(use, "token")
        database.wait_for_locks(1)
        assert database.run("SELECT id FROM users FOR NO KEY UPDATE SKIP LOCKED") == []
        other.run("COMMIT")
        assert used.result()


def request_verification(user: int) -> str | None:
    rows = auth.addresses.request_verification(principal_of(user), token_hash="again", per_day=PER_DAY)
    return rows[0].email if rows else "unauthorized"


def test_a_request_for_a_link_locks_its_user_before_its_token(ada: int, database: Database) -> None:
    database.add_mail_token(ada, "token", "lovelace@example.com")
    with ThreadPoolExecutor(1) as pool, closing(connect(database.url)) as other:
        other.run("BEGIN")
        other.run("SELECT FROM users FOR UPDATE")
        requested = pool.submit(request_verification, ada)
        database.wait_for_locks(1)
        assert other.run("SELECT hash FROM mail_tokens FOR UPDATE NOWAIT") == [["token"]]
        other.run("COMMIT")
        assert requested.result() == "lovelace@example.com"


def request_email(email: str) -> Change:
    change = EmailChange(email, email, PASSWORD_HASH, phone_number=None, keep_phone_number=True)
    return users.queries.request_email, (ATTEMPT, change), {"token_hash": "newer", "per_day": PER_DAY}


CHANGES: dict[str, tuple[Change, str | None]] = {
    "the request for another address": (request_email("byron@example.com"), "byron@example.com"),
    "the end of the request": (request_email("ada@example.com"), None),
    "a new password": (
        (users.queries.change_password, (ATTEMPT,), {"verified_hash": PASSWORD_HASH, "password": NEW_HASH}),
        None,
    ),
    "the deletion of the account": (
        (users.queries.mark_deleted, (ATTEMPT,), {"verified_hash": PASSWORD_HASH}),
        "unauthorized",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_link_that_is_requested_again_is_that_of_the_newest_change(
    change: str, ada: int, database: Database
) -> None:
    # An attacker could otherwise keep alive a change of the address that the owner ends.
    database.run("UPDATE users SET verified_email = email")
    database.add_mail_token(ada, "token", "lovelace@example.com")
    (query, objects, values), expected = CHANGES[change]
    with ThreadPoolExecutor(1) as pool:
        with open_transaction(query, principal_of(ada), *objects, **values):
            requested = pool.submit(request_verification, ada)
            wait([requested], timeout=0.5)
        assert requested.result() == expected
    assert not confirm_address("token")
    assert confirm_address("again") == (expected == "byron@example.com")


OLD_KEYS = ("expired", "other")


def post(user: int, key: str) -> int:
    return len(posts.queries.create_once(principal_of(user), **a_post(key)))


def a_post(key: str) -> dict[str, Any]:
    written = {
        "title": "Title",
        "content": "Content",
        "published": True,
        "per_day": PER_DAY,
        "verified_only": False,
    }
    return {"key": key, "fingerprint": "x", **written}


def free_keys(database: Database) -> list[str]:
    """Return the keys that are not locked."""
    sql = "SELECT key FROM idempotency_keys WHERE key IN ('expired', 'other') FOR UPDATE SKIP LOCKED"
    return sorted(key for [key] in database.run(sql))


@pytest.fixture
def _old_keys(ada: int, database: Database) -> None:
    """Insert keys that the user used more than a day ago."""
    for key in OLD_KEYS:
        database.run(
            "INSERT INTO idempotency_keys (user_id, key, fingerprint, post_id, created_at)"
            " VALUES (:ada, :key, 'x', 1, now() - interval '25 hours')",
            ada=ada,
            key=key,
        )


@pytest.mark.usefixtures("_old_keys")
def test_a_request_does_not_wait_for_the_keys_that_maintenance_removes(ada: int, database: Database) -> None:
    with open_transaction(maintenance.queries.remove_idempotency_keys, part=0):
        assert free_keys(database) == []
        assert post(ada, "new")
    assert database.run("SELECT key FROM idempotency_keys") == [["new"]]


@pytest.mark.usefixtures("_old_keys")
def test_an_expired_key_that_maintenance_removes_is_free(ada: int, database: Database) -> None:
    with ThreadPoolExecutor(1) as pool:
        with open_transaction(maintenance.queries.remove_idempotency_keys, part=0):
            posted = pool.submit(post, ada, "expired")
            database.wait_for_locks(1)
        assert posted.result() == 1
    assert database.run("SELECT key FROM idempotency_keys") == [["expired"]]


@pytest.mark.usefixtures("_old_keys")
def test_a_request_that_waits_for_its_own_key_holds_no_other(ada: int, database: Database) -> None:
    # Otherwise two requests that replace expired keys could wait for each other, and deadlock.
    with ThreadPoolExecutor(1) as pool, closing(connect(database.url)) as other:
        other.run("BEGIN")
        other.run("SELECT FROM idempotency_keys WHERE key = 'expired' FOR UPDATE")
        posted = pool.submit(post, ada, "expired")
        database.wait_for_locks(1)
        free = free_keys(database)
        other.run("COMMIT")
        assert posted.result() == 1
    assert free == ["other"]
    assert database.run("SELECT key FROM idempotency_keys") == [["expired"]]
