"""Sessions: a login opens them, refresh tokens renew them, a logout ends them."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest

import auth.handler
import auth.queries
from auth.refresh_tokens import successor
from auth.rows import RenewedRow
from common.keys import Key
from common.opaque_tokens import digest
from tests.support.database import PASSWORD, PASSWORD_HASH, PER_DAY, Database, connect, principal_of
from tests.support.lambdas import Response, call

UNAUTHORIZED = {"detail": "Could not validate credentials"}


@pytest.fixture(autouse=True)
def tokens(ada: int) -> dict[str, Any]:
    """Return the tokens of Ada's login."""
    assert ada
    return log_in()


def log_in() -> dict[str, Any]:
    response = call("login", body=urlencode({"username": "ada@example.com", "password": PASSWORD}))
    assert response.status == 200
    tokens: dict[str, Any] = response.json()
    return tokens


def refresh(token: str) -> Response:
    return call("refresh", body={"refresh_token": token})


def move_uses_back(database: Database, seconds: int) -> None:
    """Move the first use of all refresh tokens back in time."""
    database.run(
        "UPDATE refresh_tokens SET used_at = used_at - make_interval(secs => :seconds)", seconds=seconds
    )


def test_a_login_returns_the_tokens_of_a_session(tokens: dict[str, Any]) -> None:
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert tokens["expires_in"] == 1800


def test_a_refresh_token_is_exchanged_for_tokens_of_the_same_session(
    tokens: dict[str, Any], ada: int
) -> None:
    response = refresh(tokens["refresh_token"])
    assert response.status == 200
    renewed = response.json()
    assert renewed["refresh_token"] != tokens["refresh_token"]
    before, after = (
        jwt.decode(each["access_token"], options={"verify_signature": False}) for each in (tokens, renewed)
    )
    assert after["user_id"] == ada
    assert after["sid"] == before["sid"]
    assert refresh(renewed["refresh_token"]).status == 200


def test_a_refresh_that_waits_for_the_end_of_its_session_is_unauthorized(
    tokens: dict[str, Any], database: Database
) -> None:
    with ThreadPoolExecutor(1) as pool, closing(connect(database.url)) as other:
        other.run("BEGIN")
        other.run("UPDATE sessions SET ended_at = now()")
        waiting = pool.submit(refresh, tokens["refresh_token"])
        database.wait_for_locks(1)
        other.run("COMMIT")
        response = waiting.result()
    assert (response.status, response.json()) == (401, UNAUTHORIZED)


def test_only_a_hash_of_a_refresh_token_is_stored(tokens: dict[str, Any], database: Database) -> None:
    stored = database.value("SELECT string_agg(refresh_tokens::text, ' ') FROM refresh_tokens")
    assert tokens["refresh_token"] not in stored


def test_a_used_token_works_again_within_the_grace_period(tokens: dict[str, Any], database: Database) -> None:
    assert refresh(tokens["refresh_token"]).status == 200
    move_uses_back(database, 29)
    assert refresh(tokens["refresh_token"]).status == 200


def test_a_retry_does_not_prolong_the_grace_period(tokens: dict[str, Any], database: Database) -> None:
    for _ in range(2):
        assert refresh(tokens["refresh_token"]).status == 200
        move_uses_back(database, 16)
    assert refresh(tokens["refresh_token"]).status == 401


def test_reuse_after_the_grace_period_ends_the_session(tokens: dict[str, Any], database: Database) -> None:
    newer = refresh(tokens["refresh_token"]).json()["refresh_token"]
    other_session = log_in()["refresh_token"]
    move_uses_back(database, 31)
    assert refresh(tokens["refresh_token"]).status == 401
    assert refresh(newer).status == 401
    assert refresh(other_session).status == 200


def test_reuse_of_a_very_old_token_ends_the_session(tokens: dict[str, Any], database: Database) -> None:
    token = tokens["refresh_token"]
    for _ in range(3):
        token = refresh(token).json()["refresh_token"]
    move_uses_back(database, 31)
    assert refresh(tokens["refresh_token"]).status == 401
    assert refresh(token).status == 401


def test_reuse_does_not_change_when_a_session_ended(tokens: dict[str, Any], database: Database) -> None:
    assert refresh(tokens["refresh_token"]).status == 200
    move_uses_back(database, 31)
    ended = "SELECT max(ended_at) FROM sessions"
    assert refresh(tokens["refresh_token"]).status == 401
    first = database.value(ended)
    assert first is not None
    assert refresh(tokens["refresh_token"]).status == 401
    assert database.value(ended) == first


@pytest.mark.parametrize("digest_is_stored", [True, False])
def test_no_session_of_a_deleted_user_is_renewed(
    digest_is_stored: bool,  # noqa: FBT001  # a parameter of the test
    tokens: dict[str, Any],
    database: Database,
) -> None:
    if not digest_is_stored:
        database.run("UPDATE sessions SET password_digest = NULL")
    database.run("UPDATE users SET deleted_at = now()")
    assert refresh(tokens["refresh_token"]).status == 401
    assert database.run("SELECT used_at FROM refresh_tokens") == [[None]]


def test_a_session_opened_with_another_password_is_not_renewed(
    tokens: dict[str, Any], database: Database
) -> None:
    database.run("UPDATE sessions SET password_digest = sha256('another hash')")
    response = refresh(tokens["refresh_token"])
    assert (response.status, response.json()) == (401, UNAUTHORIZED)
    assert database.run("SELECT used_at FROM refresh_tokens") == [[None]]


def test_the_access_token_of_a_session_opened_with_another_password_is_refused(
    tokens: dict[str, Any], ada: int, database: Database
) -> None:
    assert call("read_account", user=ada, session=session_of(tokens)).status == 200
    database.run("UPDATE sessions SET password_digest = sha256('another hash')")
    response = call("read_account", user=ada, session=session_of(tokens))
    assert (response.status, response.json()) == (401, UNAUTHORIZED)


def test_a_session_without_a_password_digest_is_renewed(tokens: dict[str, Any], database: Database) -> None:
    database.run("UPDATE sessions SET password_digest = NULL")
    assert refresh(tokens["refresh_token"]).status == 200


def test_a_session_does_not_store_the_password_hash(database: Database) -> None:
    assert (
        bytes(database.value("SELECT password_digest FROM sessions WHERE password_digest IS NOT NULL"))
        == sha256(PASSWORD_HASH.encode()).digest()
    )


@pytest.mark.parametrize("token", ["", "nonsense", "x" * 100, "é"])
def test_anything_but_a_refresh_token_is_refused(token: str) -> None:
    response = refresh(token)
    assert response.status == 401
    assert response.json() == UNAUTHORIZED
    assert response.headers["WWW-Authenticate"] == ["Bearer"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"refresh_token": 1},
        {"refresh_token": None},
        {"refresh_token": "a\0"},
        {"refresh_token": "x" * 101},
        "",
    ],
)
def test_a_refresh_without_a_token_is_invalid(body: object) -> None:
    assert call("refresh", body=body).status == 422


def test_a_token_expires_after_a_month(tokens: dict[str, Any], database: Database) -> None:
    database.run("UPDATE refresh_tokens SET created_at = now() - interval '30 days'")
    assert refresh(tokens["refresh_token"]).status == 401


def test_a_token_is_known_for_a_month_from_its_use(tokens: dict[str, Any], database: Database) -> None:
    newer = refresh(tokens["refresh_token"]).json()["refresh_token"]
    database.run(
        "UPDATE refresh_tokens SET created_at = now() - interval '40 days',"
        " used_at = now() - interval '29 days' WHERE used_at IS NOT NULL"
    )
    newest = refresh(newer).json()["refresh_token"]
    assert refresh(tokens["refresh_token"]).status == 401
    assert refresh(newest).status == 401


def session_of(tokens: dict[str, Any]) -> str:
    session: str = jwt.decode(tokens["access_token"], options={"verify_signature": False})["sid"]
    return session


def test_a_logout_ends_this_session_and_no_other(tokens: dict[str, Any], ada: int) -> None:
    other = log_in()
    response = call("log_out", user=ada, session=session_of(tokens))
    assert (response.status, response.body) == (204, "")
    assert refresh(tokens["refresh_token"]).status == 401
    assert refresh(other["refresh_token"]).status == 200


def test_a_second_logout_is_refused(tokens: dict[str, Any], ada: int) -> None:
    statuses = [call("log_out", user=ada, session=session_of(tokens)).status for _ in range(2)]
    assert statuses == [204, 401]


def test_nobody_ends_a_session_of_somebody_else(tokens: dict[str, Any], bob: int) -> None:
    assert call("log_out", user=bob, session=session_of(tokens)).status == 401
    assert refresh(tokens["refresh_token"]).status == 200


def test_a_logout_everywhere_ends_all_sessions_of_the_user(
    tokens: dict[str, Any], ada: int, bob: int, database: Database
) -> None:
    other = log_in()
    call("login", body=urlencode({"username": "bob@example.com", "password": PASSWORD}))
    assert call("log_out_everywhere", user=ada).status == 204
    assert refresh(tokens["refresh_token"]).status == 401
    assert refresh(other["refresh_token"]).status == 401
    ended = "SELECT DISTINCT user_id FROM sessions WHERE ended_at IS NOT NULL"
    assert database.run(ended) == [[ada]]
    assert call("read_account", user=bob).status == 200


@pytest.mark.parametrize("name", ["log_out", "log_out_everywhere"])
def test_a_logout_of_a_deleted_user_is_refused(name: str, deleted_user: int) -> None:
    assert call(name, user=deleted_user).status == 401


def test_a_token_without_a_session_cannot_log_out(ada: int) -> None:
    response = call("log_out", user=ada, session="")
    assert response.status == 401
    assert response.json() == UNAUTHORIZED


def renew(token: str) -> list[RenewedRow]:
    """Do what a refresh does: the handlers are not made for threads, the statements are."""
    next_token = successor(token, auth.handler.ring.signing_key())
    return auth.queries.renew_session(
        token_hash=digest(token), successor_hashes=digest(next_token), per_day=PER_DAY
    )


@pytest.mark.usefixtures("own_connection_per_thread")
def test_simultaneous_uses_of_a_token_all_get_the_same_successor(
    tokens: dict[str, Any], database: Database
) -> None:
    with ThreadPoolExecutor(8) as pool:
        renewed = list(pool.map(renew, [tokens["refresh_token"]] * 24))
    assert [len(rows) for rows in renewed] == [1] * 24
    assert len({rows[0].token_hash for rows in renewed}) == 1
    assert database.value("SELECT count(*) FROM refresh_tokens") == 2


@pytest.mark.usefixtures("own_connection_per_thread")
def test_two_first_uses_of_a_token_that_do_not_see_each_other_get_the_same_successor(
    tokens: dict[str, Any], database: Database
) -> None:
    with ThreadPoolExecutor(2) as pool, closing(connect(database.url)) as other:
        other.run("BEGIN")
        other.run("SELECT FROM sessions FOR UPDATE")
        waiting = [pool.submit(renew, tokens["refresh_token"]) for _ in range(2)]
        database.wait_for_locks(2)
        other.run("COMMIT")
        [first], [second] = (each.result() for each in waiting)
    assert first.token_hash == second.token_hash
    assert first.id == second.id
    assert database.value("SELECT count(*) FROM refresh_tokens") == 2


@pytest.mark.usefixtures("own_connection_per_thread")
def test_after_a_refresh_and_a_simultaneous_logout_no_session_is_active(
    tokens: dict[str, Any], ada: int, database: Database
) -> None:
    def act(number: int) -> None:
        if number == 7:
            assert auth.queries.end_sessions(principal_of(ada))
        else:
            renew(tokens["refresh_token"])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(16)))
    assert database.value("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == 0
    assert refresh(tokens["refresh_token"]).status == 401


def test_a_token_that_is_used_again_within_the_grace_period_gets_the_same_successor(
    tokens: dict[str, Any], database: Database
) -> None:
    first, second = (refresh(tokens["refresh_token"]).json()["refresh_token"] for _ in range(2))
    assert first == second
    assert database.value("SELECT count(*) FROM refresh_tokens") == 2


def test_a_token_whose_successor_was_used_ends_the_session_even_within_the_grace_period(
    tokens: dict[str, Any],
) -> None:
    newer = refresh(tokens["refresh_token"]).json()["refresh_token"]
    newest = refresh(newer).json()["refresh_token"]
    assert refresh(tokens["refresh_token"]).status == 401
    assert refresh(newest).status == 401


def test_two_clients_that_share_a_token_are_detected(tokens: dict[str, Any], database: Database) -> None:
    thief, owner = (refresh(tokens["refresh_token"]).json()["refresh_token"] for _ in range(2))
    stolen = refresh(thief).json()["refresh_token"]
    move_uses_back(database, 31)
    assert refresh(owner).status == 401
    assert refresh(stolen).status == 401


def test_a_retry_after_the_key_was_rotated_gets_the_same_successor(
    tokens: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = refresh(tokens["refresh_token"]).json()["refresh_token"]
    keys = (*auth.handler.ring.all(), Key("newer", "n" * 32))
    monkeypatch.setattr(auth.handler.ring, "_keys", keys)
    assert refresh(tokens["refresh_token"]).json()["refresh_token"] == first
    assert refresh(first).status == 200


@pytest.mark.parametrize("name", ["log_out", "log_out_everywhere"])
def test_the_access_token_of_an_ended_session_is_refused(name: str, ada: int) -> None:
    assert call("read_account", user=ada).status == 200
    assert call(name, user=ada).status == 204
    response = call("read_account", user=ada)
    assert (response.status, response.json()) == (401, UNAUTHORIZED)
    assert response.headers["WWW-Authenticate"] == ["Bearer"]


def test_the_access_token_of_a_session_that_never_was_is_refused(ada: int) -> None:
    assert call("read_account", user=ada, session="2f6c1f0e-7d0b-4c55-8f0e-6b7a2e5d9c10").status == 401


ACTIVE = "SELECT count(*), min(renewed_at) FROM sessions WHERE ended_at IS NULL AND user_id = :user"
ENDED = "SELECT id, ended_at FROM sessions WHERE ended_at IS NOT NULL ORDER BY id"


def add_sessions(database: Database, user: int, number: int, *, ended: bool = False) -> None:
    """Add sessions, the one that was renewed longest ago first."""
    database.run(
        "INSERT INTO sessions (user_id, renewed_at, ended_at)"
        " SELECT :user, now() - number * interval '1 minute', CASE WHEN :ended THEN now() END"
        " FROM generate_series(CAST(:number AS integer), 1, -1) AS number",
        user=user,
        number=number,
        ended=ended,
    )


def test_a_login_ends_the_session_that_was_renewed_longest_ago_beyond_a_hundred(
    ada: int, database: Database
) -> None:
    add_sessions(database, ada, 98)
    [[number, oldest]] = database.run(ACTIVE, user=ada)
    assert number == 100
    log_in()
    [[number, next_oldest]] = database.run(ACTIVE, user=ada)
    assert number == 100
    assert next_oldest > oldest


def test_a_login_ends_no_session_because_of_those_that_ended_or_of_other_users(
    ada: int, bob: int, database: Database
) -> None:
    add_sessions(database, ada, 97)
    add_sessions(database, ada, 100, ended=True)
    add_sessions(database, bob, 99)
    before = database.run(ENDED)
    log_in()
    assert database.run(ENDED) == before
    [[number, _]] = database.run(ACTIVE, user=ada)
    assert number == 100
