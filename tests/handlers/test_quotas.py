"""Quotas: how often an account may write posts, vote, change its profile and refresh sessions in a day."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from typing import NamedTuple

import pytest

import auth.handler
import posts.handler
import users.handler
import votes.handler
import votes.queries
from common.opaque_tokens import digest
from tests.support.database import PASSWORD, Database, connect, principal_of
from tests.support.lambdas import Response, call

QUOTA = 3
HOUR = 60 * 60
DAY = 24 * HOUR
TOKEN = "the first refresh token"
POST = {"title": "Title", "content": "Content"}
PROOF = {"current_password": PASSWORD}

Send = Callable[[int, int], Response]
numbers = map(str, count())


class Action(NamedTuple):
    """Something that a quota limits: the name of the quota, and a request of a user about a post."""

    counted: str
    send: Send


ACTIONS = [
    Action("posts", lambda user, _: call("create_post", user=user, body=POST)),
    Action(
        "posts",
        lambda user, _: call("create_post", user=user, body=POST, headers={"Idempotency-Key": next(numbers)}),
    ),
    Action(
        "posts",
        lambda user, post: call("change_post", user=user, item=post, body=POST | {"title": next(numbers)}),
    ),
    Action("posts", lambda user, _: call("change_post", user=user, item=0, body=POST)),
    Action("votes", lambda user, post: call("vote", user=user, body={"post_id": post, "dir": 1})),
    Action("votes", lambda user, post: call("vote", user=user, body={"post_id": post, "dir": 0})),
    Action("votes", lambda user, _: call("vote", user=user, body={"post_id": 0, "dir": 1})),
    Action("profile changes", lambda user, _: call("update_account", user=user, body={"phone_number": "1"})),
    Action(
        "profile changes",
        lambda user, _: call("update_account", user=user, body=PROOF | {"email": "ada@example.com"}),
    ),
    Action(
        "profile changes",
        lambda user, _: call("update_account", user=user, body=PROOF | {"email": "bob@example.com"}),
    ),
    Action("refreshes", lambda _user, _post: call("refresh", body={"refresh_token": TOKEN})),
]
vote_again = next(action.send for action in ACTIONS if action.counted == "votes")
refresh = ACTIONS[-1].send


@pytest.fixture(autouse=True)
def _small_quotas(monkeypatch: pytest.MonkeyPatch, _cheap_hashes: None) -> None:
    """Let every quota be three."""
    monkeypatch.setattr(auth.handler, "REFRESHES_PER_DAY", QUOTA)
    monkeypatch.setattr(posts.handler, "POSTS_PER_DAY", QUOTA)
    monkeypatch.setattr(users.handler, "PROFILE_CHANGES_PER_DAY", QUOTA)
    monkeypatch.setattr(votes.handler, "VOTES_PER_DAY", QUOTA)


@pytest.fixture
def post(ada: int, bob: int, database: Database) -> int:
    """Return the id of a post of Ada, whose session has a refresh token; Bob has an account too."""
    assert bob
    add_token(database, ada, TOKEN)
    return database.add_post(ada)


def add_token(database: Database, user: int, token: str) -> None:
    database.run(
        "INSERT INTO refresh_tokens (hash, session_id) VALUES (:hash, CAST(:session AS uuid))",
        hash=digest(token),
        session=principal_of(user).session_id,
    )


def use_up(send: Send, user: int, post: int) -> None:
    assert [send(user, post).status == 429 for _ in range(QUOTA)] == [False] * QUOTA


def used(database: Database) -> list[list[object]]:
    return database.run("SELECT user_id, action, used FROM quota_usage ORDER BY user_id, action")


def pass_time(database: Database, seconds: int) -> None:
    database.run("UPDATE quota_usage SET resets_at = resets_at - make_interval(secs => :s)", s=seconds)


def everything_else(database: Database) -> list[list[object]]:
    """Return the data that requests change, except the usage of quotas."""
    return database.run(
        "SELECT posts::text FROM posts UNION ALL SELECT votes::text FROM votes"
        " UNION ALL SELECT users::text FROM users UNION ALL SELECT sessions::text FROM sessions"
        " UNION ALL SELECT refresh_tokens::text FROM refresh_tokens"
        " UNION ALL SELECT mail_tokens::text FROM mail_tokens"
        " UNION ALL SELECT idempotency_keys::text FROM idempotency_keys ORDER BY 1"
    )


@pytest.mark.parametrize(("counted", "send"), ACTIONS)
def test_a_request_beyond_the_quota_is_refused_and_changes_nothing_until_a_day_has_passed(
    counted: str, send: Send, ada: int, post: int, database: Database
) -> None:
    use_up(send, ada, post)
    before = everything_else(database)
    response = send(ada, post)
    assert response.status == 429
    [seconds] = response.headers["Retry-After"]
    assert DAY - 60 < int(seconds) <= DAY
    assert response.json() == {
        "detail": f"You have reached the limit of {counted} per day, try again in {seconds} s"
    }
    assert everything_else(database) == before
    assert used(database) == [[ada, counted, QUOTA]]
    pass_time(database, int(seconds))
    assert send(ada, post).status != 429
    assert used(database) == [[ada, counted, 1]]


def test_a_replacement_that_changes_nothing_does_not_count(ada: int, post: int, database: Database) -> None:
    for _ in range(QUOTA):
        assert call("change_post", user=ada, item=post, body=POST).status == 200
    assert used(database) == []
    use_up(ACTIONS[0].send, ada, post)
    assert call("change_post", user=ada, item=post, body=POST).status == 200
    assert call("change_post", user=ada, item=post, body=POST | {"published": False}).status == 429


def test_the_time_to_wait_ends_a_day_after_the_first_request(ada: int, post: int, database: Database) -> None:
    vote_again(ada, post)
    pass_time(database, DAY - 100)
    for _ in range(QUOTA - 1):
        assert vote_again(ada, post).status == 409
    response = vote_again(ada, post)
    assert response.status == 429
    assert 0 < int(response.headers["Retry-After"][0]) <= 100


def test_a_quota_limits_one_account_and_nothing_else_that_it_does(
    ada: int, bob: int, post: int, database: Database
) -> None:
    use_up(vote_again, ada, post)
    assert vote_again(bob, post).status == 201
    assert used(database) == [[ada, "votes", QUOTA], [bob, "votes", 1]]
    assert call("create_post", user=ada, body=POST).status == 201
    for name in ("read_post", "delete_post"):
        assert call(name, user=ada, item=post).status in {200, 204}
    assert call("read_account", user=ada).status == 200


def test_all_sessions_of_an_account_share_its_quota(ada: int, post: int, database: Database) -> None:
    use_up(refresh, ada, post)
    [[session]] = database.run("INSERT INTO sessions (user_id) VALUES (:ada) RETURNING id", ada=ada)
    assert call("vote", user=ada, session=str(session), body={"post_id": post, "dir": 1}).status == 201
    database.run(
        "INSERT INTO refresh_tokens (hash, session_id) VALUES (:hash, :session)",
        hash=digest("other"),
        session=session,
    )
    assert call("refresh", body={"refresh_token": "other"}).status == 429


def test_a_request_that_is_not_valid_does_not_count(ada: int, post: int, database: Database) -> None:
    assert call("vote", user=ada, body={"post_id": post}).status == 422
    assert call("create_post", user=ada, body={"title": "Title"}).status == 422
    assert call("update_account", user=ada, body=PROOF | {"email": "no address"}).status == 422
    assert (
        call("update_account", user=ada, body={"email": "a@example.com", "current_password": "x"}).status
        == 403
    )
    assert call("update_account", user=ada, body={}).status == 200
    assert call("refresh", body={"refresh_token": "unknown"}).status == 401
    assert call("log_out", user=ada).status == 204
    assert {send(ada, post).status for _, send in ACTIONS} == {401}
    assert used(database) == []


def test_an_ended_session_is_refused_as_such_when_the_quota_is_used_up(ada: int, post: int) -> None:
    use_up(vote_again, ada, post)
    use_up(refresh, ada, post)
    assert call("log_out", user=ada).status == 204
    assert vote_again(ada, post).status == 401
    assert refresh(ada, post).status == 401


def test_a_repeated_request_with_a_key_gets_its_post_when_the_quota_is_used_up(
    ada: int, database: Database
) -> None:
    def create(key: str) -> Response:
        return call("create_post", user=ada, body=POST, headers={"Idempotency-Key": key})

    created = [create(str(number)).json()["id"] for number in range(QUOTA)]
    for _ in range(2):
        assert [create(str(number)).json()["id"] for number in range(QUOTA)] == created
    assert create("another").status == 429
    assert used(database) == [[ada, "posts", QUOTA]]
    assert call("create_post", user=ada, headers={"Idempotency-Key": "0"}).status == 422


def test_a_refresh_token_that_the_quota_refuses_stays_valid(ada: int, post: int, database: Database) -> None:
    use_up(refresh, ada, post)
    add_token(database, ada, "unused")
    before = everything_else(database)
    assert call("refresh", body={"refresh_token": "unused"}).status == 429
    assert everything_else(database) == before
    pass_time(database, DAY)
    assert call("refresh", body={"refresh_token": "unused"}).status == 200


def test_a_stolen_refresh_token_is_detected_when_the_quota_is_used_up(
    ada: int, post: int, database: Database
) -> None:
    use_up(refresh, ada, post)
    database.run(
        "UPDATE refresh_tokens SET used_at = now() - interval '31 seconds' WHERE used_at IS NOT NULL"
    )
    assert refresh(ada, post).status == 401
    assert (
        database.value("SELECT count(*) FROM sessions WHERE ended_at IS NULL AND user_id = :ada", ada=ada)
        == 0
    )


@pytest.mark.parametrize("fixtures", [[], ["mailbox"]], ids=["without mail", "with mail"])
def test_a_change_of_the_e_mail_beyond_the_quota_changes_nothing(
    fixtures: list[str], ada: int, post: int, database: Database, request: pytest.FixtureRequest
) -> None:
    for fixture in fixtures:
        request.getfixturevalue(fixture)

    def change(number: int) -> Response:
        body = PROOF | {"email": f"{number}@example.com", "phone_number": str(number)}
        return call("update_account", user=ada, body=body)

    assert [change(number).status for number in range(QUOTA)] == [200] * QUOTA
    before = everything_else(database)
    assert change(QUOTA).status == 429
    assert everything_else(database) == before
    assert database.value("SELECT sum(cardinality(reservations)) FROM login_attempts") == 0
    assert post


def test_a_refused_change_of_the_e_mail_ends_its_login_attempt(
    ada: int, post: int, database: Database
) -> None:
    change = next(send for counted, send in reversed(ACTIONS) if counted == "profile changes")
    use_up(change, ada, post)
    assert change(ada, post).status == 429
    assert database.value("SELECT sum(cardinality(reservations)) FROM login_attempts") == 0


def test_a_refused_request_waits_for_no_lock_and_writes_nothing(
    ada: int, post: int, database: Database
) -> None:
    for _, send in ACTIONS:
        for _ in range(2 * QUOTA):
            send(ada, post)
    version = "SELECT action, ctid::text, xmin::text, xmax::text FROM quota_usage ORDER BY action"
    before = database.run(version)
    assert len(before) == len({counted for counted, _ in ACTIONS})
    with closing(connect(database.url)) as other:
        other.run("BEGIN")
        other.run("SELECT FROM quota_usage FOR UPDATE")
        assert {send(ada, post).status for counted, send in ACTIONS if counted != "profile changes"} == {429}
        assert call("update_account", user=ada, body={"phone_number": "2"}).status == 429
        other.run("ROLLBACK")
    assert vote_again(ada, post).status == 429
    after = database.run(version)
    assert [row[:3] for row in after] == [row[:3] for row in before]


@pytest.mark.usefixtures("own_connection_per_thread")
@pytest.mark.parametrize("earlier", [None, "over", "current"])
def test_exactly_as_many_simultaneous_requests_are_admitted_as_the_quota_says(
    earlier: str | None, ada: int, post: int, database: Database
) -> None:
    quota = 20
    if earlier:
        database.run(
            "INSERT INTO quota_usage VALUES (:ada, 'votes', :used, now() + make_interval(hours => :hours))",
            ada=ada,
            used=quota if earlier == "over" else 5,
            hours=-1 if earlier == "over" else 1,
        )

    def cast(_: int) -> int | None:
        return votes.queries.cast(principal_of(ada), post_id=post, per_day=quota, verified_only=False)[
            0
        ].retry_after_seconds

    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(cast, range(3 * quota)))
    refused = [wait for wait in waits if wait is not None]
    assert len(waits) - len(refused) == (quota - 5 if earlier == "current" else quota)
    longest = HOUR if earlier == "current" else DAY
    assert all(longest - 60 < wait <= longest for wait in refused)
    assert used(database) == [[ada, "votes", quota]]
    assert database.value("SELECT count(*) FROM votes") == 1


def seconds_until_next_vote(user: int, post: int) -> int | None:
    [row] = votes.queries.cast(principal_of(user), post_id=post, per_day=1, verified_only=False)
    return row.retry_after_seconds


@pytest.mark.usefixtures("own_connection_per_thread")
def test_a_request_that_did_not_see_when_a_quota_is_renewed_gets_a_time_to_wait(
    ada: int, post: int, database: Database
) -> None:
    use = "INSERT INTO quota_usage VALUES (:ada, 'votes', 1, now() + interval '1 hour')"
    with ThreadPoolExecutor(1) as pool, closing(connect(database.url)) as other:
        # The period begins and is used up while the request waits, so that it does not see when it ends.
        other.run("BEGIN")
        other.run(use, ada=ada)
        waiting = pool.submit(seconds_until_next_vote, ada, post)
        database.wait_for_locks(1)
        other.run("COMMIT")
        assert waiting.result() == DAY
        # The period is used up and ends while the request waits.
        database.run("UPDATE quota_usage SET used = 0, resets_at = clock_timestamp() + interval '1 second'")
        other.run("BEGIN")
        other.run("UPDATE quota_usage SET used = 1")
        waiting = pool.submit(seconds_until_next_vote, ada, post)
        database.wait_for_locks(1)
        other.run("SELECT pg_sleep(1)")
        other.run("COMMIT")
        assert waiting.result() == 1


@pytest.mark.usefixtures("own_connection_per_thread")
def test_the_time_to_wait_begins_when_the_request_has_waited_for_a_lock(
    ada: int, post: int, database: Database
) -> None:
    with ThreadPoolExecutor(1) as pool, closing(connect(database.url)) as other:
        database.run(
            "INSERT INTO quota_usage VALUES (:ada, 'votes', 0, clock_timestamp() + interval '1 hour')",
            ada=ada,
        )
        other.run("BEGIN")
        other.run("UPDATE quota_usage SET used = 1")
        waiting = pool.submit(seconds_until_next_vote, ada, post)
        database.wait_for_locks(1)
        other.run("SELECT pg_sleep(1)")
        other.run("COMMIT")
        seconds = waiting.result()
    assert seconds is not None
    assert seconds < HOUR
