"""POST /posts with an Idempotency-Key."""

import uuid
from typing import Any

import httpx
import pytest

from tests.contract.client import (
    Account,
    assert_invalid,
    assert_unauthorized,
    send_concurrently,
)


def new_body(**fields: object) -> dict[str, object]:
    """Return the body of a post with a unique title."""
    return {"title": uuid.uuid4().hex, "content": "Content", **fields}


def send(
    client: httpx.Client, writer: Account, body: dict[str, object], key: str, slash: str = ""
) -> httpx.Response:
    headers = {**writer.headers, "Idempotency-Key": key}
    return client.post(f"/posts{slash}", json=body, headers=headers)


def written(client: httpx.Client, writer: Account, body: dict[str, object]) -> list[dict[str, Any]]:
    response = client.get("/posts", params={"search": str(body["title"])}, headers=writer.headers)
    assert response.status_code == 200, response.text
    return [entry["Post"] for entry in response.json()]


@pytest.fixture
def key() -> str:
    """Return an unused key."""
    return str(uuid.uuid4())


def test_a_repeated_request_gets_the_first_response(
    client: httpx.Client, ada: Account, key: str, slash: str
) -> None:
    body = new_body(published=False)
    first, second = send(client, ada, body, key, slash), send(client, ada, body | {"id": 7}, key, slash)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert written(client, ada, body) == [first.json()]


def test_a_repeated_request_gets_the_first_response_even_if_the_post_was_deleted(
    client: httpx.Client, ada: Account, key: str
) -> None:
    body = new_body()
    first = send(client, ada, body, key)
    path = f"/posts/{first.json()['id']}"
    assert client.put(path, json=body | {"content": "New"}, headers=ada.headers).status_code == 200
    assert send(client, ada, body, key).json() == first.json()
    assert client.delete(path, headers=ada.headers).status_code == 204
    again = send(client, ada, body, key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert written(client, ada, body) == []


@pytest.mark.parametrize("change", [{"title": "other"}, {"content": "other"}, {"published": False}])
def test_a_key_with_another_body_is_refused(
    client: httpx.Client, ada: Account, key: str, change: dict[str, object]
) -> None:
    body = new_body()
    first = send(client, ada, body, key)
    assert_invalid(send(client, ada, body | change, key), "header", "idempotency-key")
    assert written(client, ada, body) == [first.json()]


def test_another_key_or_another_user_creates_another_post(
    client: httpx.Client, ada: Account, bob: Account, key: str
) -> None:
    body = new_body()
    posts = [
        send(client, writer, body, name).json() for writer, name in ((ada, key), (bob, key), (ada, key + "'"))
    ]
    assert [post["owner"]["id"] for post in posts] == [ada.id, bob.id, ada.id]
    assert written(client, ada, body) == posts[::-1]


def test_a_key_has_length_limits(client: httpx.Client, ada: Account, key: str) -> None:
    body = new_body()
    for refused in ("", key.ljust(256, "x")):
        assert_invalid(send(client, ada, body, refused), "header", "idempotency-key")
    assert written(client, ada, body) == []
    assert send(client, ada, body, key.ljust(255, "x")).status_code == 201


def test_a_failed_request_does_not_store_its_key(client: httpx.Client, ada: Account, key: str) -> None:
    body = new_body()
    assert_invalid(send(client, ada, body | {"content": None}, key), "body", "content")
    assert_unauthorized(client.post("/posts", json=body, headers={"Idempotency-Key": key}))
    assert send(client, ada, body, key).status_code == 201


def test_of_concurrent_requests_one_creates_a_post(client: httpx.Client, ada: Account, key: str) -> None:
    body = new_body()
    responses = send_concurrently(10, lambda _: send(client, ada, body, key))
    assert {response.status_code for response in responses} == {201}
    [post] = written(client, ada, body)
    assert [response.json() for response in responses] == [post] * 10


def test_of_two_concurrent_bodies_one_is_stored(client: httpx.Client, ada: Account, key: str) -> None:
    bodies = [new_body(), new_body()]
    responses = send_concurrently(10, lambda index: send(client, ada, bodies[index % 2], key))
    posts = [post for body in bodies for post in written(client, ada, body)]
    assert len(posts) == 1
    for index, response in enumerate(responses):
        if bodies[index % 2]["title"] == posts[0]["title"]:
            assert (response.status_code, response.json()) == (201, posts[0])
        else:
            assert_invalid(response, "header", "idempotency-key")
