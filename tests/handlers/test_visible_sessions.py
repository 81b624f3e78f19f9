"""The list of one's sessions, and the end of one of them."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import jwt
import pytest

import users.queries
from posts.lists import drafts_new
from tests.support.database import PASSWORD, Database, connect, principal_of
from tests.support.lambdas import Response, call, invoke, new_event
from tests.support.plans import first_page, plan_of, rows_read

NOT_FOUND = {"detail": "There is no such session"}
UNAUTHORIZED = {"detail": "Could not validate credentials"}
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)"


def log_in(user_agent: str | None = PHONE) -> dict[str, Any]:
    """Log Ada in, and return the tokens."""
    event = new_event("login", body=urlencode({"username": "ada@example.com", "password": PASSWORD}))
    event["requestContext"]["identity"]["userAgent"] = user_agent
    response = invoke(event)
    assert response.status == 200
    tokens: dict[str, Any] = response.json()
    return tokens


def session_of(tokens: dict[str, Any]) -> str:
    session: str = jwt.decode(tokens["access_token"], options={"verify_signature": False})["sid"]
    return session


def own_session(user: int) -> str:
    return principal_of(user).session_id


def refresh(tokens: dict[str, Any]) -> Response:
    return call("refresh", body={"refresh_token": tokens["refresh_token"]})


def listed(user: int, **changes: str) -> list[dict[str, Any]]:
    response = call("list_sessions", user=user, **changes)
    assert response.status == 200
    sessions: list[dict[str, Any]] = response.json()
    return sessions


def ids(user: int) -> list[str]:
    return [session["id"] for session in listed(user)]


def test_a_session_shows_when_and_by_which_user_agent_it_was_opened(ada: int, bob: int) -> None:
    assert bob
    phone = session_of(log_in())
    sessions = listed(ada, session=phone)
    assert [(session["id"], session["current"]) for session in sessions] == [
        (phone, True),
        (own_session(ada), False),
    ]
    assert sessions[0].keys() == {"id", "created_at", "renewed_at", "user_agent", "current"}
    assert [session["user_agent"] for session in sessions] == [PHONE, None]
    for session in sessions:
        assert datetime.fromisoformat(session["created_at"]).utcoffset() is not None
        assert session["created_at"] == session["renewed_at"]


def test_a_renewal_moves_a_session_to_the_beginning_of_the_list(ada: int, database: Database) -> None:
    tokens = log_in()
    log_in()
    database.run("UPDATE sessions SET created_at = '2026-01-01', renewed_at = renewed_at - interval '1 hour'")
    assert refresh(tokens).status == 200
    [first, *_] = listed(ada)
    assert first["id"] == session_of(tokens)
    assert first["created_at"].startswith("2026-01-01")
    assert first["renewed_at"] > first["created_at"]
    assert first["user_agent"] == PHONE


def test_sessions_that_were_renewed_at_the_same_time_are_listed_by_their_ids(
    ada: int, database: Database
) -> None:
    database.run("INSERT INTO sessions (user_id) SELECT :ada FROM generate_series(1, 20)", ada=ada)
    database.run("UPDATE sessions SET renewed_at = '9999-01-01'")
    assert ids(ada) == sorted(ids(ada))
    assert len(ids(ada)) == 21


@pytest.mark.parametrize(
    "change",
    [
        "ended_at = now()",
        "renewed_at = now() - interval '30 days'",
        "password_digest = sha256('another hash')",
    ],
)
def test_a_session_that_cannot_be_used_is_not_listed(change: str, ada: int, database: Database) -> None:
    tokens = log_in()
    assert ids(ada) == [session_of(tokens), own_session(ada)]
    database.run(f"UPDATE sessions SET {change} WHERE id = CAST(:id AS uuid)", id=session_of(tokens))
    assert ids(ada) == [own_session(ada)]


def test_a_session_that_was_renewed_almost_a_month_ago_is_listed(ada: int, database: Database) -> None:
    tokens = log_in()
    database.run("UPDATE sessions SET renewed_at = now() - interval '29 days 23 hours'")
    assert session_of(tokens) in ids(ada)


def test_a_session_from_before_times_were_stored_is_listed_without_one(ada: int, database: Database) -> None:
    database.run("UPDATE sessions SET created_at = NULL")
    [session] = listed(ada)
    assert session["created_at"] is None


def test_no_more_sessions_are_listed_than_a_user_may_have(ada: int, database: Database) -> None:
    database.run("INSERT INTO sessions (user_id) SELECT :ada FROM generate_series(1, 110)", ada=ada)
    assert len(ids(ada)) == 100


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (None, None),
        ("", None),
        (" \t", None),
        ("\0", None),
        ("curl/8.5.0", "curl/8.5.0"),
        ("Mözilla 日本", "Mzilla"),
        ("a\0b\r\nc\x1b[31md\x7fe", "abc[31mde"),
        # The override of the direction of text, a zero width space, a lone surrogate, a line separator.
        ("a\u202eb\u200bc\ud800d\u2028e", "abcde"),
        ("x" * 200 + "y", "x" * 200),
        ("\0" * 200 + "y", None),
        ("x" * 8_000, "x" * 200),
    ],
)
def test_a_user_agent_is_stored_in_a_harmless_form(sent: str | None, stored: str | None, ada: int) -> None:
    assert listed(ada, session=session_of(log_in(sent)))[0]["user_agent"] == stored


def test_the_user_agent_is_read_where_the_letter_case_of_headers_does_not_matter(ada: int) -> None:
    event = new_event(
        "login",
        body=urlencode({"username": "ada@example.com", "password": PASSWORD}),
        headers={"User-Agent": None, "user-agent": "forged"},
    )
    event["requestContext"]["identity"]["userAgent"] = PHONE
    assert invoke(event).status == 200
    assert listed(ada)[0]["user_agent"] == PHONE


def test_another_session_is_ended(ada: int) -> None:
    tokens, kept = log_in(), log_in()
    response = call("end_session", user=ada, item=session_of(tokens))
    assert (response.status, response.body) == (204, "")
    assert ids(ada) == [session_of(kept), own_session(ada)]
    assert refresh(tokens).status == 401
    assert refresh(kept).status == 200
    response = call("read_account", user=ada, session=session_of(tokens))
    assert (response.status, response.json()) == (401, UNAUTHORIZED)


def test_ones_own_session_is_ended_and_the_next_request_is_refused(ada: int) -> None:
    assert call("end_session", user=ada, item=own_session(ada)).status == 204
    for event, item in (("list_sessions", None), ("end_session", own_session(ada))):
        response = call(event, user=ada, item=item)
        assert (response.status, response.json()) == (401, UNAUTHORIZED)
        assert response.headers["WWW-Authenticate"] == ["Bearer"]


def test_a_session_is_ended_once(ada: int) -> None:
    session = session_of(log_in())
    responses = [call("end_session", user=ada, item=session) for _ in range(2)]
    assert [response.status for response in responses] == [204, 404]
    assert responses[1].json() == NOT_FOUND


def test_a_session_of_another_user_is_not_found_and_goes_on(ada: int, bob: int) -> None:
    tokens = log_in()
    response = call("end_session", user=bob, item=session_of(tokens))
    assert (response.status, response.json()) == (404, NOT_FOUND)
    assert refresh(tokens).status == 200
    assert own_session(ada) in ids(ada)


@pytest.mark.parametrize("item", ["2f6c1f0e-7d0b-4c55-8f0e-6b7a2e5d9c10", str(UUID(int=0)), "f" * 32])
def test_an_unknown_session_is_not_found(item: str, ada: int) -> None:
    response = call("end_session", user=ada, item=item)
    assert (response.status, response.json()) == (404, NOT_FOUND)


@pytest.mark.parametrize(
    "item",
    ["1", "me", "q" * 36, "2f6c1f0e-7d0b-4c55-8f0e-6b7a2e5d9c1", "%00", "f" * 8_000, "-" * 5 + "f" * 32],
)
def test_an_id_that_is_no_uuid_is_invalid_and_not_repeated(item: str, ada: int) -> None:
    response = call("end_session", user=ada, item=item)
    assert response.status == 422
    assert response.json()["detail"] == [
        {"type": "uuid_parsing", "loc": ["path", "session_id"], "msg": "Input should be a valid UUID"}
    ]


@pytest.mark.parametrize("event", ["list_sessions", "end_session"])
def test_a_request_without_a_valid_session_is_refused(event: str, ada: int, deleted_user: int) -> None:
    item = own_session(ada) if event == "end_session" else None
    for user, session in ((deleted_user, None), (ada, ""), (ada, "2f6c1f0e-7d0b-4c55-8f0e-6b7a2e5d9c10")):
        response = call(event, user=user, session=session, item=item)
        assert (response.status, response.json()) == (401, UNAUTHORIZED)
    assert ids(ada) == [own_session(ada)]


@pytest.mark.usefixtures("own_connection_per_thread")
def test_one_of_two_simultaneous_ends_of_a_session_finds_it(ada: int, database: Database) -> None:
    session = UUID(session_of(log_in()))

    def end(_: int) -> object:
        [row] = users.queries.end_session(principal_of(ada), target=session)
        return row.session_id

    with ThreadPoolExecutor(2) as pool, closing(connect(database.url)) as other:
        # Both wait for the row, so that they are simultaneous.
        other.run("BEGIN")
        other.run("SELECT FROM sessions FOR UPDATE")
        waiting = [pool.submit(end, number) for number in range(2)]
        database.wait_for_locks(2)
        other.run("COMMIT")
        assert {each.result() for each in waiting} == {session, None}


@pytest.mark.usefixtures("own_connection_per_thread")
def test_the_end_of_a_session_that_is_being_renewed_ends_it(ada: int, database: Database) -> None:
    tokens = log_in()
    session = session_of(tokens)
    with ThreadPoolExecutor(1) as pool, closing(connect(database.url)) as other:
        other.run("BEGIN")
        other.run("UPDATE sessions SET renewed_at = now()")
        waiting = pool.submit(users.queries.end_session, principal_of(ada), target=UUID(session))
        database.wait_for_locks(1)
        other.run("COMMIT")
        assert [row.session_id for row in waiting.result()] == [UUID(session)]
    assert refresh(tokens).status == 401


@pytest.mark.usefixtures("own_connection_per_thread")
def test_two_sessions_that_end_each_other_leave_none_that_can_be_renewed(
    ada: int, database: Database
) -> None:
    tokens = [log_in(), log_in()]
    sessions = [session_of(each) for each in tokens]
    principals = [principal_of(ada)._replace(session_id=session) for session in sessions]
    with ThreadPoolExecutor(2) as pool, closing(connect(database.url)) as other:
        other.run("BEGIN")
        other.run("SELECT FROM sessions FOR UPDATE")
        waiting = [
            pool.submit(users.queries.end_session, principal, target=UUID(target))
            for principal, target in zip(principals, reversed(sessions), strict=True)
        ]
        database.wait_for_locks(2)
        other.run("COMMIT")
        assert [row.session_id for each in waiting for row in each.result()] == [
            UUID(session) for session in reversed(sessions)
        ]
    assert [refresh(each).status for each in tokens] == [401, 401]


def test_a_login_of_release_1_0_can_be_listed(ada: int, database: Database) -> None:
    database.run(
        "INSERT INTO sessions (user_id, password_digest) SELECT id, sha256(password::bytea) FROM users"
    )
    assert [session["user_agent"] for session in listed(ada)] == [None, None]
    assert all(session["created_at"] for session in listed(ada))


def test_a_second_end_of_a_session_does_not_change_when_it_ended(ada: int, database: Database) -> None:
    session = session_of(log_in())
    assert call("end_session", user=ada, item=session).status == 204
    ended = "SELECT ended_at FROM sessions WHERE id = CAST(:id AS uuid)"
    first = database.value(ended, id=session)
    assert call("end_session", user=ada, item=session).status == 404
    assert database.value(ended, id=session) == first


def test_the_session_of_a_request_is_found_without_reading_the_other_ones(
    ada: int, database: Database
) -> None:
    # Others have one session each, so that the planner expects few of a user.
    database.run(
        "INSERT INTO users (email, password) SELECT number || '@example.com', 'x'"
        " FROM generate_series(1, 3000) AS number"
    )
    database.run("INSERT INTO sessions (user_id) SELECT id FROM users")
    database.run("INSERT INTO sessions (user_id) SELECT :ada FROM generate_series(1, 99)", ada=ada)
    database.run("ANALYZE users, sessions")
    nodes = plan_of(database, drafts_new, principal_of(ada), first_page("new"))
    assert rows_read(nodes, "sessions") == 1
