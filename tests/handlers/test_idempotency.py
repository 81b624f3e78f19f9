"""POST /posts/ with an Idempotency-Key."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from posts import queries
from tests.data import Database
from tests.lambdas import Answer, call


def write(user: int, key: str | None = "a key", body: Mapping[str, object] | None = None) -> Answer:
    post = {"title": "Title", "content": "Content", **(body or {})}
    return call("create_post", user=user, body=post, headers={"Idempotency-Key": key})


def count(database: Database) -> int:
    number: int = database.value("SELECT count(*) FROM posts")
    return number


def test_the_same_request_gets_the_first_answer_and_writes_nothing(ada: int, database: Database) -> None:
    first = write(ada)
    assert first.status == 201
    again = write(ada)
    assert (again.status, again.json()) == (201, first.json())
    assert count(database) == 1


def test_the_first_answer_is_given_even_when_the_post_has_changed_since(ada: int, database: Database) -> None:
    first = write(ada)
    database.run("UPDATE posts SET title = 'Changed'")
    assert write(ada).json() == first.json()
    database.run("DELETE FROM posts")
    assert write(ada).json() == first.json()
    assert count(database) == 0


@pytest.mark.parametrize("change", [{"title": "Other"}, {"content": "Other"}, {"published": False}])
def test_a_key_with_another_body_is_invalid(change: dict[str, object], ada: int, database: Database) -> None:
    write(ada)
    answer = write(ada, body=change)
    assert answer.status == 422
    assert answer.json()["detail"] == [
        {
            "type": "idempotency_key_reused",
            "loc": ["header", "idempotency-key"],
            "msg": "This key came with another body before",
        }
    ]
    assert count(database) == 1


def test_fields_that_are_ignored_make_no_other_body(ada: int, database: Database) -> None:
    assert write(ada).json() == write(ada, body={"owner_id": 7}).json()
    assert count(database) == 1


def test_another_key_no_key_and_another_user_write_another_post(
    ada: int, bob: int, database: Database
) -> None:
    for answer in (write(ada), write(ada, "another key"), write(ada, None), write(ada, None), write(bob)):
        assert answer.status == 201
    assert count(database) == 5


def test_a_day_later_the_key_is_free_again(ada: int, database: Database) -> None:
    first = write(ada)
    database.run("UPDATE idempotency_keys SET created_at = created_at - interval '1 day'")
    second = write(ada, body={"title": "Other"})
    assert second.status == 201
    assert second.json()["id"] != first.json()["id"]
    assert write(ada, body={"title": "Other"}).json() == second.json()
    assert count(database) == 2


@pytest.mark.parametrize(
    ("key", "kind", "message"),
    [
        ("", "string_too_short", "String should have at least 1 character"),
        ("k" * 256, "string_too_long", "String should have at most 255 characters"),
        ("a\0", "string_nul", "String should not contain a NUL character"),
    ],
)
def test_a_key_has_bounds(key: str, kind: str, message: str, ada: int, database: Database) -> None:
    answer = write(ada, key)
    assert answer.status == 422
    assert answer.json()["detail"] == [{"type": kind, "loc": ["header", "idempotency-key"], "msg": message}]
    assert count(database) == 0


def test_a_deleted_user_writes_nothing(deleted_user: int) -> None:
    assert write(deleted_user).status == 401


@pytest.mark.usefixtures("session_per_thread")
def test_of_simultaneous_requests_one_writes_and_all_get_its_answer(ada: int, database: Database) -> None:
    keys, threads = 25, 4
    together = Barrier(threads, timeout=30)  # so that an error in one leaves none waiting for good

    def create_all(_: int) -> list[int]:
        made = []
        for key in range(keys):
            together.wait()
            [row] = queries.create_once(
                owner=ada, title="Title", content="Content", published=True, key=str(key), fingerprint="same"
            )
            made.append(row.id)
        return made

    with ThreadPoolExecutor(threads) as pool:
        [first, *others] = pool.map(create_all, range(threads))
    assert others == [first] * (threads - 1)
    assert count(database) == keys
