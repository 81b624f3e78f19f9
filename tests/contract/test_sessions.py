"""Refresh tokens, POST /auth/logout and POST /auth/logout-all, and /users/me/sessions."""

import uuid
from typing import Any

import httpx
import pytest

from tests.contract.client import (
    PASSWORD,
    Account,
    assert_detail,
    assert_invalid,
    assert_timestamp,
    assert_unauthorized,
    concurrent_statuses,
    log_in,
    new_account,
    refresh,
    send_concurrently,
)
from tests.support.database import connect

Tokens = dict[str, Any]


@pytest.fixture
def account(client: httpx.Client) -> Account:
    """Return an account whose sessions the test may end."""
    return new_account(client)


def new_session(client: httpx.Client, account: Account) -> Tokens:
    response = log_in(client, account.email)
    assert response.status_code == 200, response.text
    tokens: Tokens = response.json()
    return tokens


def end(client: httpx.Client, tokens: Tokens, path: str = "/auth/logout") -> httpx.Response:
    return client.post(path, headers={"Authorization": f"Bearer {tokens['access_token']}"})


def has_access(client: httpx.Client, tokens: Tokens) -> bool:
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    return client.get("/users/me", headers=headers).status_code == 200


def assert_tokens(response: httpx.Response) -> None:
    assert response.status_code == 200, response.text
    assert response.json().keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert response.json()["token_type"] == "bearer"
    assert response.json()["expires_in"] > 0
    assert response.headers["Cache-Control"] == "no-store"


def test_each_refresh_token_can_be_exchanged_in_turn(
    client: httpx.Client, account: Account, slash: str
) -> None:
    tokens = new_session(client, account)
    seen = {tokens["refresh_token"]}
    for _ in range(3):
        response = client.post(f"/auth/refresh{slash}", json={"refresh_token": tokens["refresh_token"]})
        assert_tokens(response)
        tokens = response.json()
        seen.add(tokens["refresh_token"])
        assert has_access(client, tokens)
    assert len(seen) == 4


def test_a_used_token_works_again_within_the_grace_period(client: httpx.Client, account: Account) -> None:
    lost = new_session(client, account)["refresh_token"]
    first, second = refresh(client, lost), refresh(client, lost)
    assert_tokens(second)
    assert_tokens(refresh(client, first.json()["refresh_token"]))
    assert_tokens(refresh(client, second.json()["refresh_token"]))


def test_reuse_after_the_grace_period_ends_only_its_session(
    client: httpx.Client, account: Account, served_database: str, *, is_own_run: bool
) -> None:
    if not is_own_run:
        pytest.skip("only beside the database can a token be made older")
    stolen, other = new_session(client, account), new_session(client, account)
    current = refresh(client, stolen["refresh_token"]).json()
    connection = connect(served_database)
    connection.run(
        "UPDATE refresh_tokens SET used_at = used_at - interval '31 seconds' FROM sessions"
        " WHERE sessions.id = session_id AND user_id = :user_id",
        user_id=account.id,
    )
    connection.close()
    assert_unauthorized(refresh(client, stolen["refresh_token"]))
    assert_unauthorized(refresh(client, current["refresh_token"]))
    assert_tokens(refresh(client, other["refresh_token"]))


def test_anything_but_a_refresh_token_is_refused(client: httpx.Client, slash: str) -> None:
    for token in ("", "made up", "🐘", "a" * 100):
        assert_unauthorized(client.post(f"/auth/refresh{slash}", json={"refresh_token": token}))


@pytest.mark.parametrize("body", [{}, *({"refresh_token": token} for token in (None, 7, "nul\0", "a" * 101))])
def test_an_invalid_refresh(client: httpx.Client, body: dict[str, object], slash: str) -> None:
    assert_invalid(client.post(f"/auth/refresh{slash}", json=body), "body", "refresh_token")


def test_a_logout_ends_this_session_and_no_other(client: httpx.Client, account: Account, slash: str) -> None:
    tokens, other = new_session(client, account), new_session(client, account)
    renewed = refresh(client, tokens["refresh_token"]).json()
    response = end(client, renewed, f"/auth/logout{slash}")
    assert (response.status_code, response.content) == (204, b"")
    for ended in (tokens, renewed):
        assert_unauthorized(refresh(client, ended["refresh_token"]))
    assert_tokens(refresh(client, other["refresh_token"]))
    assert not has_access(client, tokens)
    assert_unauthorized(end(client, tokens))
    assert has_access(client, other)


def test_a_logout_everywhere_ends_all_sessions_of_the_user(
    client: httpx.Client, account: Account, slash: str
) -> None:
    sessions = [new_session(client, account) for _ in range(2)]
    somebody = new_session(client, new_account(client))
    response = end(client, sessions[0], f"/auth/logout-all{slash}")
    assert (response.status_code, response.content) == (204, b"")
    for tokens in sessions:
        assert_unauthorized(refresh(client, tokens["refresh_token"]))
    assert_tokens(refresh(client, somebody["refresh_token"]))
    assert_tokens(log_in(client, account.email))


@pytest.mark.parametrize("path", ["/auth/logout", "/auth/logout-all"])
def test_logout_requires_a_token(client: httpx.Client, deleted: Account, path: str, slash: str) -> None:
    assert_unauthorized(client.post(f"{path}{slash}"))
    assert_unauthorized(client.post(f"{path}{slash}", headers=deleted.headers))


def test_concurrent_uses_of_a_token_get_the_same_successor(client: httpx.Client, account: Account) -> None:
    token = new_session(client, account)["refresh_token"]
    responses = send_concurrently(10, lambda _: refresh(client, token))
    for response in responses:
        assert_tokens(response)
    given = [response.json()["refresh_token"] for response in responses]
    assert len(set(given)) == 1
    assert concurrent_statuses(10, lambda index: refresh(client, given[index])) == [200] * 10


def test_a_session_that_ends_during_a_renewal_has_ended(client: httpx.Client, account: Account) -> None:
    for path in ("/auth/logout", "/auth/logout-all"):
        tokens = new_session(client, account)

        def renew_or_end(index: int, path: str = path, tokens: Tokens = tokens) -> httpx.Response:
            return refresh(client, tokens["refresh_token"]) if index % 4 else end(client, tokens, path)

        responses = send_concurrently(8, renew_or_end)
        # The second request to end the session may come when it has ended.
        assert 204 in [response.status_code for response in responses[::4]]
        for response in responses:
            assert response.status_code in {200, 204, 401}
            if response.status_code == 200:
                assert_unauthorized(refresh(client, response.json()["refresh_token"]))


def bearer(tokens: Tokens) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def sessions_of(client: httpx.Client, tokens: Tokens, slash: str = "") -> list[dict[str, Any]]:
    response = client.get(f"/users/me/sessions{slash}", headers=bearer(tokens))
    assert response.status_code == 200, response.text
    sessions: list[dict[str, Any]] = response.json()
    return sessions


def end_by_id(client: httpx.Client, tokens: Tokens, session: object, slash: str = "") -> httpx.Response:
    return client.delete(f"/users/me/sessions/{session}{slash}", headers=bearer(tokens))


def test_a_session_can_be_found_in_the_list_and_ended(
    client: httpx.Client, account: Account, slash: str
) -> None:
    lost, own = new_session(client, account), new_session(client, account)
    listed = sessions_of(client, own, slash)
    assert [session["current"] for session in listed] == [True, False, False]
    for session in listed:
        assert session.keys() == {"id", "created_at", "renewed_at", "user_agent", "current"}
        assert str(uuid.UUID(session["id"])) == session["id"]
        assert_timestamp(session["created_at"])
        assert_timestamp(session["renewed_at"])
        assert session["user_agent"] == client.headers["User-Agent"]
    [to_end] = [session["id"] for session in sessions_of(client, lost) if session["current"]]
    response = end_by_id(client, own, to_end, slash)
    assert (response.status_code, response.content) == (204, b"")
    assert not has_access(client, lost)
    assert_unauthorized(refresh(client, lost["refresh_token"]))
    assert has_access(client, own)
    assert to_end not in [session["id"] for session in sessions_of(client, own)]
    assert_detail(end_by_id(client, own, to_end, slash), 404)


def test_ones_own_session_can_be_ended(client: httpx.Client, account: Account) -> None:
    tokens = new_session(client, account)
    [own] = [session["id"] for session in sessions_of(client, tokens) if session["current"]]
    assert end_by_id(client, tokens, own).status_code == 204
    assert_unauthorized(client.get("/users/me/sessions", headers=bearer(tokens)))
    assert_unauthorized(end_by_id(client, tokens, own))


def test_a_session_of_somebody_else_cannot_be_seen_or_ended(client: httpx.Client, account: Account) -> None:
    tokens, somebody = new_session(client, account), new_session(client, new_account(client))
    theirs, mine = ({session["id"] for session in sessions_of(client, each)} for each in (somebody, tokens))
    assert not theirs & mine
    for session in theirs:
        assert_detail(end_by_id(client, tokens, session), 404)
    assert has_access(client, somebody)


@pytest.mark.parametrize("session", ["1", "me", "%20", "%00", "%F0%9F%90%98", "f" * 33, "a%2Fb"])
def test_an_id_that_is_no_uuid(client: httpx.Client, account: Account, session: str, slash: str) -> None:
    assert_invalid(end_by_id(client, new_session(client, account), session, slash), "path", "session_id")


def test_the_sessions_require_a_token(client: httpx.Client, deleted: Account, slash: str) -> None:
    for method, path in (("GET", "/users/me/sessions"), ("DELETE", f"/users/me/sessions/{uuid.uuid4()}")):
        assert_unauthorized(client.request(method, f"{path}{slash}"))
        assert_unauthorized(client.request(method, f"{path}{slash}", headers=deleted.headers))


@pytest.mark.parametrize("user_agent", ["", "a" * 300, "caf\u00e9 \u202e", "tab\tbed"])
def test_any_user_agent_may_log_in(client: httpx.Client, account: Account, user_agent: str) -> None:
    response = client.post(
        "/login",
        data={"username": account.email, "password": PASSWORD},
        headers={b"User-Agent": user_agent.encode()},
    )
    assert response.status_code == 200, response.text
    shown = sessions_of(client, response.json())[0]["user_agent"]
    assert shown is None or (shown.isprintable() and shown.isascii() and 0 < len(shown) <= 200)


def test_of_simultaneous_ends_of_a_session_exactly_one_succeeds(
    client: httpx.Client, account: Account
) -> None:
    tokens = new_session(client, account)
    [_, other] = sessions_of(client, tokens)
    assert concurrent_statuses(6, lambda _: end_by_id(client, tokens, other["id"])) == [204] + [404] * 5
