"""Sessions: a login opens them, refresh tokens renew them, a logout ends them."""

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest

from auth import queries
from auth.refresh_tokens import digest
from tests.support.database import PASSWORD, PASSWORD_HASH, Database
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


def test_only_a_hash_of_a_refresh_token_is_stored(tokens: dict[str, Any], database: Database) -> None:
    stored = database.value("SELECT string_agg(refresh_tokens::text, ' ') FROM refresh_tokens")
    assert tokens["refresh_token"] not in stored


def test_a_used_token_works_again_within_the_grace_period(tokens: dict[str, Any], database: Database) -> None:
    assert refresh(tokens["refresh_token"]).status == 200
    move_uses_back(database, 29)
    assert refresh(tokens["refresh_token"]).status == 200


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


def test_a_session_opened_with_another_password_is_not_renewed(
    tokens: dict[str, Any], database: Database
) -> None:
    database.run("UPDATE sessions SET password_digest = sha256('another hash')")
    response = refresh(tokens["refresh_token"])
    assert (response.status, response.json()) == (401, UNAUTHORIZED)
    assert database.run("SELECT used_at FROM refresh_tokens") == [[None]]


def test_a_session_without_a_password_digest_is_renewed(tokens: dict[str, Any], database: Database) -> None:
    database.run("UPDATE sessions SET password_digest = NULL")
    assert refresh(tokens["refresh_token"]).status == 200


def test_a_session_does_not_store_the_password_hash(database: Database) -> None:
    assert (
        bytes(database.value("SELECT password_digest FROM sessions"))
        == sha256(PASSWORD_HASH.encode()).digest()
    )


@pytest.mark.parametrize("token", ["", "nonsense", "x" * 10_000, "é"])
def test_anything_but_a_refresh_token_is_refused(token: str) -> None:
    response = refresh(token)
    assert response.status == 401
    assert response.json() == UNAUTHORIZED
    assert response.headers["WWW-Authenticate"] == ["Bearer"]


@pytest.mark.parametrize(
    "body", [{}, {"refresh_token": 1}, {"refresh_token": None}, {"refresh_token": "a\0"}, ""]
)
def test_a_refresh_without_a_token_is_invalid(body: object) -> None:
    assert call("refresh", body=body).status == 422


def test_a_token_expires_after_a_month(tokens: dict[str, Any], database: Database) -> None:
    database.run("UPDATE refresh_tokens SET created_at = now() - interval '30 days'")
    assert refresh(tokens["refresh_token"]).status == 401


def test_a_login_deletes_abandoned_sessions_of_the_user(database: Database) -> None:
    database.run("UPDATE sessions SET renewed_at = now() - interval '31 days'")
    log_in()
    assert database.value("SELECT count(*) FROM sessions") == 1


def add_old_tokens(database: Database, number: int) -> None:
    """Insert this many tokens per session that were used more than a month ago."""
    database.run(
        "INSERT INTO refresh_tokens (hash, session_id, created_at, used_at)"
        " SELECT id || ' ' || number, id, now() - interval '32 days', now() - interval '31 days'"
        " FROM sessions, generate_series(1, CAST(:number AS integer)) AS number",
        number=number,
    )


def test_a_refresh_deletes_a_few_old_tokens_of_the_session(
    tokens: dict[str, Any], database: Database
) -> None:
    other = log_in()
    add_old_tokens(database, 5)
    number = "SELECT count(*) FROM refresh_tokens WHERE session_id = :session"
    token = tokens["refresh_token"]
    for left in (3, 1, 0):
        token = refresh(token).json()["refresh_token"]
        old = f"{number} AND created_at < now() - interval '30 days'"
        assert database.value(old, session=session_of(tokens)) == left
    assert database.value(number, session=session_of(tokens)) == 4
    assert database.value(number, session=session_of(other)) == 6


def test_a_refused_refresh_deletes_nothing(tokens: dict[str, Any], database: Database) -> None:
    add_old_tokens(database, 2)
    database.run("UPDATE sessions SET password_digest = ''")
    assert refresh(tokens["refresh_token"]).status == 401
    assert database.value("SELECT count(*) FROM refresh_tokens") == 3


def test_a_used_token_is_kept_for_a_month(tokens: dict[str, Any], database: Database) -> None:
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


def test_a_second_logout_succeeds_too(tokens: dict[str, Any], ada: int) -> None:
    for _ in range(2):
        assert call("log_out", user=ada, session=session_of(tokens)).status == 204


def test_the_session_of_another_user_cannot_be_ended(tokens: dict[str, Any], bob: int) -> None:
    assert call("log_out", user=bob, session=session_of(tokens)).status == 204
    assert refresh(tokens["refresh_token"]).status == 200


def test_a_logout_everywhere_ends_all_sessions_of_the_user(
    tokens: dict[str, Any], ada: int, bob: int, database: Database
) -> None:
    other = log_in()
    call("login", body=urlencode({"username": "bob@example.com", "password": PASSWORD}))
    assert call("log_out_everywhere", user=ada).status == 204
    assert refresh(tokens["refresh_token"]).status == 401
    assert refresh(other["refresh_token"]).status == 401
    assert database.value("SELECT count(*) FROM sessions WHERE user_id = :bob", bob=bob) == 1


@pytest.mark.parametrize("name", ["log_out", "log_out_everywhere"])
def test_a_logout_of_a_deleted_user_is_refused(name: str, deleted_user: int) -> None:
    assert call(name, user=deleted_user).status == 401


def test_a_token_without_a_session_cannot_log_out(ada: int) -> None:
    response = call("log_out", user=ada, session="")
    assert response.status == 401
    assert response.json() == UNAUTHORIZED


@pytest.mark.usefixtures("own_connection_per_thread")
def test_concurrent_uses_of_a_token_all_succeed(tokens: dict[str, Any], database: Database) -> None:
    used = digest(tokens["refresh_token"])

    def use(number: int) -> int:
        return len(queries.renew_session(token_hash=used, next_hash=str(number)))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(use, range(24))) == [1] * 24
    assert database.value("SELECT count(*) FROM refresh_tokens WHERE used_at IS NOT NULL") == 1


@pytest.mark.usefixtures("own_connection_per_thread")
def test_concurrent_uses_delete_old_tokens_together(tokens: dict[str, Any], database: Database) -> None:
    used = digest(tokens["refresh_token"])
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    before = database.value(deadlocks)
    add_old_tokens(database, 24)

    def use(number: int) -> int:
        return len(queries.renew_session(token_hash=used, next_hash=str(number)))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(use, range(24))) == [1] * 24
    assert database.value(deadlocks) == before
    assert database.value("SELECT count(*) FROM refresh_tokens") < 24 + 24


@pytest.mark.usefixtures("own_connection_per_thread")
def test_a_refresh_concurrent_with_a_logout_leaves_no_session(
    tokens: dict[str, Any], ada: int, database: Database
) -> None:
    used = digest(tokens["refresh_token"])

    def act(number: int) -> None:
        if number == 7:
            queries.end_sessions(user_id=ada)
        else:
            queries.renew_session(token_hash=used, next_hash=str(number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(16)))
    assert database.value("SELECT count(*) FROM sessions") == 0
    assert database.value("SELECT count(*) FROM refresh_tokens") == 0
