"""POST /posts/ with an Idempotency-Key."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from common.principal import Principal
from posts import queries
from posts.rows import IdempotentPostRow, RequestKey
from tests.support.database import PER_DAY, Database, principal_of
from tests.support.lambdas import Response, call


def write(user: int, key: str | None = "a key", body: Mapping[str, object] | None = None) -> Response:
    post = {"title": "Title", "content": "Content", **(body or {})}
    return call("create_post", user=user, body=post, headers={"Idempotency-Key": key})


def count(database: Database) -> int:
    number: int = database.value("SELECT count(*) FROM posts")
    return number


def test_a_repeated_request_gets_the_first_response_and_writes_nothing(ada: int, database: Database) -> None:
    first = write(ada)
    assert first.status == 201
    again = write(ada)
    assert (again.status, again.json()) == (201, first.json())
    assert count(database) == 1


def test_a_repeated_request_gets_the_first_response_even_if_the_post_has_changed(
    ada: int, database: Database
) -> None:
    first = write(ada)
    database.run("UPDATE posts SET title = 'Changed'")
    assert write(ada).json() == first.json()
    database.run("DELETE FROM posts")
    assert write(ada).json() == first.json()
    assert count(database) == 0


@pytest.mark.parametrize("change", [{"title": "Other"}, {"content": "Other"}, {"published": False}])
def test_a_key_with_another_body_is_invalid(change: dict[str, object], ada: int, database: Database) -> None:
    write(ada)
    response = write(ada, body=change)
    assert response.status == 422
    assert response.json()["detail"] == [
        {
            "type": "idempotency_key_reused",
            "loc": ["header", "idempotency-key"],
            "msg": "This key was used with a different body",
        }
    ]
    assert count(database) == 1


def test_ignored_fields_do_not_make_a_different_body(ada: int, database: Database) -> None:
    assert write(ada).json() == write(ada, body={"owner_id": 7}).json()
    assert count(database) == 1


def test_another_key_no_key_or_another_user_creates_another_post(
    ada: int, bob: int, database: Database
) -> None:
    for response in (write(ada), write(ada, "another key"), write(ada, None), write(ada, None), write(bob)):
        assert response.status == 201
    assert count(database) == 5


def test_a_key_can_be_used_again_after_a_day(ada: int, database: Database) -> None:
    first = write(ada)
    database.run("UPDATE idempotency_keys SET created_at = created_at - interval '1 day'")
    second = write(ada, body={"title": "Other"})
    assert second.status == 201
    assert second.json()["id"] != first.json()["id"]
    assert write(ada, body={"title": "Other"}).json() == second.json()
    assert count(database) == 2


POST: dict[str, Any] = {"title": "Title", "content": "Content", "published": True}


def create_once(principal: Principal, key: str) -> list[IdempotentPostRow]:
    request = RequestKey(key, "same")
    return queries.create_once(principal, request, **POST, per_day=PER_DAY, verified_only=False)


def add_old_keys(database: Database, user: int, number: int) -> None:
    """Insert this many keys that a user used more than a day ago: `old 1`, `old 2` ..."""
    database.run(
        "INSERT INTO idempotency_keys (user_id, key, fingerprint, post_id, created_at)"
        " SELECT :user, 'old ' || number, 'x', number, now() - interval '25 hours'"
        " FROM generate_series(1, CAST(:number AS integer)) AS number",
        user=user,
        number=number,
    )


def keys(database: Database, user: int) -> set[str]:
    return {key for [key] in database.run("SELECT key FROM idempotency_keys WHERE user_id = :id", id=user)}


def test_each_new_post_deletes_a_few_expired_keys_of_its_owner(
    ada: int, bob: int, database: Database
) -> None:
    write(ada, "of today")
    add_old_keys(database, ada, 12)
    add_old_keys(database, bob, 1)
    for number in range(3):
        write(ada, f"new {number}")
        assert len(keys(database, ada)) == 1 + max(0, 12 - 5 * (number + 1)) + number + 1
    assert keys(database, ada) == {"of today", "new 0", "new 1", "new 2"}
    assert keys(database, bob) == {"old 1"}


def test_an_expired_key_that_is_used_again_is_not_deleted(ada: int, database: Database) -> None:
    add_old_keys(database, ada, 3)
    first = write(ada, "old 2")
    assert first.status == 201
    assert keys(database, ada) == {"old 2"}
    assert write(ada, "old 2").json() == first.json()


@pytest.mark.parametrize(
    ("key", "kind", "message"),
    [
        ("", "string_too_short", "String should have at least 1 character"),
        ("k" * 256, "string_too_long", "String should have at most 255 characters"),
        ("a\0", "string_nul", "String should not contain a NUL character"),
    ],
)
def test_a_key_has_length_limits(key: str, kind: str, message: str, ada: int, database: Database) -> None:
    response = write(ada, key)
    assert response.status == 422
    assert response.json()["detail"] == [{"type": kind, "loc": ["header", "idempotency-key"], "msg": message}]
    assert count(database) == 0


def test_a_deleted_user_creates_no_post(deleted_user: int) -> None:
    assert write(deleted_user).status == 401


@pytest.mark.usefixtures("own_connection_per_thread")
def test_of_concurrent_requests_one_creates_a_post_and_all_get_its_response(
    ada: int, database: Database
) -> None:
    keys, threads = 25, 4
    principal = principal_of(ada)
    together = Barrier(threads, timeout=30)  # so that an error in one leaves none waiting for good

    def create_all(_: int) -> list[int | None]:
        made = []
        for key in range(keys):
            together.wait()
            [row] = create_once(principal, str(key))
            made.append(row.id)
        return made

    with ThreadPoolExecutor(threads) as pool:
        [first, *others] = pool.map(create_all, range(threads))
    assert others == [first] * (threads - 1)
    assert count(database) == keys


@pytest.mark.usefixtures("own_connection_per_thread")
def test_requests_that_delete_each_other_s_expired_keys_do_not_deadlock(ada: int, database: Database) -> None:
    rounds, threads = 25, 4
    principal = principal_of(ada)
    together = Barrier(threads, timeout=30)
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    before = database.value(deadlocks)
    add_old_keys(database, ada, rounds * threads)

    def use_old_keys(thread: int) -> None:
        for number in range(rounds):
            together.wait()
            key = f"old {number * threads + thread + 1}"
            assert create_once(principal, key)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(use_old_keys, range(threads)))
    assert database.value(deadlocks) == before
    assert count(database) == rounds * threads
    assert len(keys(database, ada)) == rounds * threads
