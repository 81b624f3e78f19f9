"""POST /posts/ and GET, PUT and DELETE /posts/{id}."""

from datetime import datetime

import pytest

from tests.support.counters import vote_counts
from tests.support.database import Database
from tests.support.lambdas import call


def test_the_response_to_a_new_post_contains_its_owner(ada: int, database: Database) -> None:
    response = call("create_post", user=ada, body={"title": "Hello", "content": "World"})
    assert response.status == 201
    [[post_id, created_at]] = database.run("SELECT id, created_at FROM posts")
    [[registered_at]] = database.run("SELECT created_at FROM users")
    assert response.json() == {
        "id": post_id,
        "title": "Hello",
        "content": "World",
        "published": True,
        "created_at": created_at.isoformat().replace("+00:00", "Z"),
        "owner": {
            "id": ada,
            "email": "ada@example.com",
            "created_at": registered_at.isoformat().replace("+00:00", "Z"),
        },
    }
    assert datetime.fromisoformat(response.json()["created_at"]).utcoffset() is not None


def test_a_new_post_may_be_a_draft(ada: int, database: Database) -> None:
    response = call("create_post", user=ada, body={"title": "t", "content": "c", "published": False})
    assert response.json()["published"] is False
    assert database.value("SELECT published FROM posts") is False


@pytest.mark.parametrize(
    "text", ["", " ", "'; DROP TABLE posts; --", "🐘" * 300, "\r\n\t", "$1", "%s", "\\", "null"]
)
def test_a_text_is_stored_unchanged(text: str, ada: int) -> None:
    post = call("create_post", user=ada, body={"title": text, "content": text}).json()
    assert (post["title"], post["content"]) == (text, text)
    assert call("read_post", user=ada, item=post["id"]).json() == post


def test_title_and_content_have_a_maximum_length(ada: int) -> None:
    assert call("create_post", user=ada, body={"title": "ä" * 300, "content": "ä" * 50_000}).status == 201
    response = call("create_post", user=ada, body={"title": "t" * 301, "content": "c"})
    assert response.status == 422
    assert response.json()["detail"][0]["loc"] == ["body", "title"]
    response = call("create_post", user=ada, body={"title": "t", "content": "c" * 50_001})
    assert response.status == 422
    assert response.json()["detail"][0]["loc"] == ["body", "content"]


def test_a_replacement_may_keep_a_title_that_is_too_long_for_a_new_post(ada: int, database: Database) -> None:
    post_id = database.add_post(ada, "本" * 1_000)
    body = {"title": "本" * 1_000, "content": "New", "published": False}
    response = call("change_post", user=ada, item=post_id, body=body)
    assert response.status == 200
    assert response.json().items() >= body.items()
    assert database.run("SELECT title, content, published FROM posts") == [["本" * 1_000, "New", False]]


@pytest.mark.parametrize("title", ["本" * 301, "a" * 999 + "b", "a" * 1_001])
def test_a_replacement_cannot_have_another_title_that_is_too_long(
    title: str, ada: int, bob: int, database: Database
) -> None:
    post_id = database.add_post(ada, "a" * 1_000)
    body = {"title": title, "content": "New"}
    response = call("change_post", user=ada, item=post_id, body=body)
    assert response.status == 422
    [error] = response.json()["detail"]
    assert (error["type"], error["loc"]) == ("string_too_long", ["body", "title"])
    assert database.run("SELECT title, content FROM posts") == [["a" * 1_000, "Content"]]
    others = call("change_post", user=bob, item=post_id, body=body)
    assert others.status == (422 if len(title) > 1_000 else 403)


def test_a_replacement_that_changes_nothing_writes_nothing(ada: int, database: Database) -> None:
    post_id = database.add_post(ada, "Same")
    body = {"title": "Same", "content": "Content", "published": True}
    versions = "SELECT posts.xmin::text, post_titles.xmin::text FROM posts JOIN post_titles ON post_id = id"
    before = database.run(versions)
    assert call("change_post", user=ada, item=post_id, body=body).json().items() >= body.items()
    assert database.run(versions) == before
    call("change_post", user=ada, item=post_id, body=body | {"content": "New"})
    [[post, title]] = database.run(versions)
    assert post != before[0][0]
    assert title == before[0][1]


@pytest.mark.parametrize("event", ["create_post", "change_post"])
def test_unknown_fields_change_nothing(event: str, ada: int, bob: int, database: Database) -> None:
    before = database.add_post(ada)
    body = {
        "title": "t",
        "content": "c",
        "id": 7,
        "owner_id": bob,
        "owner": {"id": bob},
        "created_at": "1999-01-01T00:00:00Z",
        "vote_count": 5,
    }
    item = {"item": before} if event == "change_post" else {}
    post_id = call(event, user=ada, body=body, **item).json()["id"]
    [[owner, created_at]] = database.run(
        "SELECT owner_id, created_at FROM posts WHERE id = :post_id", post_id=post_id
    )
    assert post_id != 7
    assert owner == ada
    assert created_at.year != 1999
    assert vote_counts(database.run)[post_id] == 0


def test_a_post_of_another_user_can_be_read(ada: int, bob: int, database: Database) -> None:
    post_id = database.add_post(ada, "Hello")
    response = call("read_post", user=bob, item=post_id)
    assert response.status == 200
    assert response.json()["title"] == "Hello"
    assert response.json()["owner"]["id"] == ada


def test_the_owner_can_change_every_field_of_a_post(ada: int, database: Database) -> None:
    post_id = database.add_post(ada, "Old")
    other = database.add_post(ada, "Other")
    response = call(
        "change_post", user=ada, item=post_id, body={"title": "New", "content": "Text", "published": False}
    )
    assert response.status == 200
    assert response.json() == call("read_post", user=ada, item=post_id).json()
    rows = database.run("SELECT id, title, content, published FROM posts ORDER BY id")
    assert rows == [[post_id, "New", "Text", False], [other, "Other", "Content", True]]


def test_a_replacement_without_published_publishes_the_post(ada: int, database: Database) -> None:
    post_id = database.add_post(ada, published=False)
    assert call("change_post", user=ada, item=post_id, body={"title": "t", "content": "c"}).status == 200
    assert database.value("SELECT published FROM posts") is True


def test_deleting_a_post_returns_no_body(ada: int, database: Database) -> None:
    post_id = database.add_post(ada)
    other = database.add_post(ada)
    response = call("delete_post", user=ada, item=post_id)
    assert (response.status, response.body) == (204, "")
    assert "Content-Type" not in response.headers
    assert [each["Post"]["id"] for each in call("list_posts", user=ada).json()] == [other]
    assert call("read_post", user=ada, item=post_id).status == 404
    assert call("change_post", user=ada, item=post_id).status == 404
    assert call("list_posts", user=ada, query=[("published", "false")]).json() == []
    assert call("delete_post", user=ada, item=post_id).status == 404


@pytest.mark.parametrize("event", ["change_post", "delete_post"])
def test_a_post_of_another_user_cannot_be_changed(event: str, ada: int, bob: int, database: Database) -> None:
    post_id = database.add_post(ada, "Mine")
    response = call(event, user=bob, item=post_id)
    assert response.status == 403
    assert response.json() == {"detail": "This post belongs to somebody else"}
    assert database.run("SELECT title, content FROM posts") == [["Mine", "Content"]]


@pytest.mark.parametrize("event", ["read_post", "change_post", "delete_post"])
@pytest.mark.parametrize("post_id", [0, -1, 2**31 - 1, -(2**31)])
def test_a_missing_post_is_not_found(event: str, post_id: int, ada: int) -> None:
    response = call(event, user=ada, item=post_id)
    assert response.status == 404
    assert response.json() == {"detail": "There is no such post"}


@pytest.mark.parametrize("event", ["read_post", "change_post", "delete_post"])
@pytest.mark.parametrize("post_id", [2**31, -(2**31) - 1, "9" * 5_000, "new", "1.5", "%00", "\0", "①", "🐘"])
def test_an_id_outside_postgresql_s_integer_is_invalid(event: str, post_id: object, ada: int) -> None:
    response = call(event, user=ada, item=post_id)
    assert response.status == 422
    assert response.json()["detail"][0]["loc"][0] == "path"


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, ["title", "content"]),
        ({"title": "t"}, ["content"]),
        ({"content": "c"}, ["title"]),
        ({"title": None, "content": "c"}, ["title"]),
        ({"title": 7, "content": []}, ["title", "content"]),
        ({"title": "nul\0", "content": "\0"}, ["title", "content"]),
        ({"title": "\ud800", "content": "c"}, ["title"]),
        ({"title": "t", "content": "\udfff"}, ["content"]),
        ({"title": "t", "content": "c", "published": "perhaps"}, ["published"]),
        ({"title": "t", "content": "c", "published": None}, ["published"]),
    ],
)
@pytest.mark.parametrize("event", ["create_post", "change_post"])
def test_every_invalid_field_is_named(
    event: str, body: object, wrong: list[str], ada: int, database: Database
) -> None:
    item = {"item": database.add_post(ada)} if event == "change_post" else {}
    response = call(event, user=ada, body=body, **item)
    assert response.status == 422
    assert [error["loc"] for error in response.json()["detail"]] == [["body", field] for field in wrong]
    assert all(error.keys() == {"type", "loc", "msg"} for error in response.json()["detail"])
