"""Posts and votes."""

import uuid
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.contract.client import (
    Account,
    assert_detail,
    assert_invalid,
    assert_timestamp,
    new_post,
    vote,
)

MISSING_ID = 2_147_483_647
WRITES = {"title": "New", "content": "Text"}


def listed(client: httpx.Client, viewer: Account, **query: object) -> list[dict[str, Any]]:
    response = client.get("/posts/", params={"limit": "100", **query}, headers=viewer.headers)  # type: ignore[dict-item]  # numbers and strings
    assert response.status_code == 200, response.text
    entries: list[dict[str, Any]] = response.json()
    return entries


def test_create_a_post(client: httpx.Client, ada: Account, slash: str) -> None:
    response = client.post(f"/posts{slash}", json=WRITES, headers=ada.headers)
    assert response.status_code == 201
    post = response.json()
    assert post.keys() == {"id", "title", "content", "published", "created_at", "owner"}
    assert (post["title"], post["content"], post["published"]) == ("New", "Text", True)
    assert post["owner"].keys() == {"id", "email", "created_at"}
    assert (post["owner"]["id"], post["owner"]["email"]) == (ada.id, ada.email)
    assert_timestamp(post["created_at"])
    assert_timestamp(post["owner"]["created_at"])


def test_read_change_and_delete_a_post(client: httpx.Client, ada: Account, slash: str) -> None:
    post = new_post(client, ada)
    path = f"/posts/{post['id']}{slash}"
    read = client.get(path, headers=ada.headers)
    assert (read.status_code, read.json()) == (200, post)
    changed = client.put(path, json=WRITES | {"published": False}, headers=ada.headers)
    assert (changed.status_code, changed.json()) == (200, post | WRITES | {"published": False})
    deleted = client.delete(path, headers=ada.headers)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert_detail(client.get(path, headers=ada.headers), 404)


def test_unknown_fields_change_nothing(client: httpx.Client, ada: Account, bob: Account) -> None:
    post = new_post(client, ada, id=1, owner_id=bob.id, created_at="1999-01-01T00:00:00Z", vote_count=9)
    assert post["owner"]["id"] == ada.id
    assert not post["created_at"].startswith("1999")
    assert listed(client, ada)[0] == {"Post": post, "vote": 0}


def test_the_post_of_another_user(client: httpx.Client, ada: Account, bob: Account, slash: str) -> None:
    post = new_post(client, ada)
    path = f"/posts/{post['id']}{slash}"
    assert client.get(path, headers=bob.headers).json() == post
    assert_detail(client.put(path, json=WRITES, headers=bob.headers), 403)
    assert_detail(client.delete(path, headers=bob.headers), 403)
    assert client.get(path, headers=bob.headers).json() == post


def test_a_missing_post(client: httpx.Client, ada: Account, slash: str) -> None:
    path = f"/posts/{MISSING_ID}{slash}"
    assert_detail(client.get(path, headers=ada.headers), 404)
    assert_detail(client.put(path, json=WRITES, headers=ada.headers), 404)
    assert_detail(client.delete(path, headers=ada.headers), 404)


def test_a_draft(client: httpx.Client, ada: Account, bob: Account) -> None:
    title = uuid.uuid4().hex
    draft = new_post(client, ada, title=title, published=False)
    path = f"/posts/{draft['id']}"
    assert client.get(path, headers=ada.headers).json() == draft
    assert listed(client, ada, search=title) == [{"Post": draft, "vote": 0}]
    assert vote(client, ada, draft["id"]).status_code == 201
    assert_detail(client.get(path, headers=bob.headers), 404)
    assert_detail(client.put(path, json=WRITES, headers=bob.headers), 404)
    assert_detail(client.delete(path, headers=bob.headers), 404)
    assert_detail(vote(client, bob, draft["id"]), 404)
    assert listed(client, bob, search=title) == []


@pytest.mark.parametrize("post_id", ["new", "2147483648", "-2147483649", "1.5", "%00"])
def test_an_invalid_id(client: httpx.Client, ada: Account, post_id: str, slash: str) -> None:
    path = f"/posts/{post_id}{slash}"
    assert_invalid(client.get(path, headers=ada.headers), "path")
    assert_invalid(client.put(path, json=WRITES, headers=ada.headers), "path")
    assert_invalid(client.delete(path, headers=ada.headers), "path")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["title", "content"]),
        ({"title": "t"}, ["content"]),
        ({"title": 7, "content": "c"}, ["title"]),
        ({"title": "t", "content": "nul\0"}, ["content"]),
        ({"title": "t", "content": "c", "published": "perhaps"}, ["published"]),
    ],
)
def test_an_invalid_post(
    client: httpx.Client, ada: Account, body: object, fields: list[str], slash: str
) -> None:
    path = f"/posts/{new_post(client, ada)['id']}{slash}"
    assert_invalid(client.post(f"/posts{slash}", json=body, headers=ada.headers), "body", *fields)
    assert_invalid(client.put(path, json=body, headers=ada.headers), "body", *fields)


def test_the_list_is_newest_first_and_pages(client: httpx.Client, ada: Account, slash: str) -> None:
    title = uuid.uuid4().hex
    posts = [new_post(client, ada, title=f"{title} {number}") for number in range(12)][::-1]
    response = client.get(f"/posts{slash}", params={"search": title}, headers=ada.headers)
    assert response.status_code == 200
    assert [entry["Post"] for entry in response.json()] == posts[:10]
    assert [entry["Post"] for entry in listed(client, ada, search=title, skip="3", limit="4")] == posts[3:7]


def test_the_links_lead_through_all_pages(client: httpx.Client, ada: Account, base_url: str) -> None:
    title = uuid.uuid4().hex
    posts = [new_post(client, ada, title=title)["id"] for _ in range(7)][::-1]
    origin = urlsplit(base_url)[:2]
    # For gateways that do not set X-Forwarded-Proto themselves.
    headers = ada.headers | {"X-Forwarded-Proto": origin[0]}
    seen = []
    target: str | None = f"{base_url}/posts?limit=3&search={title}"
    while target:
        response = client.get(target, headers=headers)
        seen += [entry["Post"]["id"] for entry in response.json()]
        target = response.links["next"]["url"] if "next" in response.links else None
        new_post(client, ada, title=title)
        assert target is None or urlsplit(target)[:2] == origin
    assert seen == posts


@pytest.mark.parametrize(
    ("term", "title"), [("%", "50% off"), ("_", "a_b"), ("\\", "a\\b"), ("🐘", "an 🐘"), ("a&b=c", "a&b=c")]
)
def test_search_is_literal(client: httpx.Client, ada: Account, term: str, title: str) -> None:
    mark = uuid.uuid4().hex
    post = new_post(client, ada, title=f"{mark}{title}")
    new_post(client, ada, title=f"{mark}50 off, axb")
    assert [entry["Post"] for entry in listed(client, ada, search=f"{mark}{title}")] == [post]
    found = listed(client, ada, search=term)
    assert all(term in entry["Post"]["title"] for entry in found)
    assert post in [entry["Post"] for entry in found]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "ten"),
        ("skip", "-1"),
        ("skip", "2147483648"),
        ("search", "\0"),
    ],
)
def test_an_invalid_list_parameter(
    client: httpx.Client, ada: Account, name: str, value: str, slash: str
) -> None:
    response = client.get(f"/posts{slash}", params={name: value}, headers=ada.headers)
    assert_invalid(response, "query", name)


def test_vote_and_retract(client: httpx.Client, ada: Account, bob: Account, slash: str) -> None:
    post = new_post(client, ada, title=uuid.uuid4().hex)

    def send(direction: int) -> httpx.Response:
        body = {"post_id": post["id"], "dir": direction}
        return client.post(f"/vote{slash}", json=body, headers=bob.headers)

    def count() -> int:
        [entry] = listed(client, ada, search=post["title"])
        votes: int = entry["vote"]
        return votes

    assert_detail(send(0), 404)
    cast = send(1)
    assert cast.status_code == 201
    assert cast.json().keys() == {"message"}
    assert count() == 1
    assert_detail(send(1), 409)
    assert count() == 1
    retracted = send(-3)
    assert retracted.status_code == 201
    assert retracted.json().keys() == {"message"}
    assert count() == 0
    assert_detail(send(0), 404)


def test_vote_on_a_missing_post(client: httpx.Client, ada: Account) -> None:
    assert_detail(vote(client, ada, MISSING_ID, 1), 404)
    assert_detail(vote(client, ada, MISSING_ID, 0), 404)


@pytest.mark.parametrize(
    ("post_id", "direction", "fields"),
    [
        (1, 2, ["dir"]),
        (1, None, ["dir"]),
        (2**31, 1, ["post_id"]),
        ("one", 1, ["post_id"]),
        (10**400, 1, ["post_id"]),
    ],
)
def test_an_invalid_vote(
    client: httpx.Client, ada: Account, post_id: object, direction: object, fields: list[str]
) -> None:
    assert_invalid(vote(client, ada, post_id, direction), "body", *fields)
