"""A client written for the reference application.

It uses paths with a trailing slash, the login form and the key `Post`, and reads its own id from the token
without verifying it. It uses nothing of this project but the URL.
"""

import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

Json = dict[str, Any]


class ReferenceClient:
    """The reference application's client."""

    def __init__(self, base_url: str) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=30)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def register(self, email: str, password: str) -> Json:
        """Create an account."""
        return self._expect(201, self._http.post("/users/", json={"email": email, "password": password}))

    def log_in(self, email: str, password: str) -> int:
        """Log in, use the token from now on, and return the id in it."""
        response = self._expect(
            200, self._http.post("/login", data={"username": email, "password": password})
        )
        assert response["token_type"] == "bearer"
        token = response["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"
        body = token.split(".")[1]
        user_id = json.loads(base64.urlsafe_b64decode(body + "=="))["user_id"]
        assert type(user_id) is int
        return user_id

    def user(self, user_id: int) -> Json:
        """Return an account."""
        return self._expect(200, self._http.get(f"/users/{user_id}"))

    def create(self, title: str, content: str, **more: bool) -> Json:
        """Create a post."""
        return self._expect(
            201, self._http.post("/posts/", json={"title": title, "content": content, **more})
        )

    def posts(self, **query: str) -> list[Json]:
        """List posts."""
        response = self._http.get("/posts/", params=query)
        assert response.status_code == 200
        entries: list[Json] = response.json()
        return entries

    def post(self, post_id: int, status: int = 200) -> Json:
        """Return a post."""
        return self._expect(status, self._http.get(f"/posts/{post_id}"))

    def update(self, post_id: int, title: str, content: str, status: int = 200) -> Json:
        """Change a post."""
        response = self._http.put(f"/posts/{post_id}", json={"title": title, "content": content})
        return self._expect(status, response)

    def delete(self, post_id: int, status: int = 204) -> None:
        """Delete a post."""
        assert self._http.delete(f"/posts/{post_id}").status_code == status

    def vote(self, post_id: int, direction: int, status: int = 201) -> Json:
        """Cast or retract a vote."""
        return self._expect(status, self._http.post("/vote/", json={"post_id": post_id, "dir": direction}))

    def _expect(self, status: int, response: httpx.Response) -> Json:
        assert response.status_code == status, response.text
        body: Json = response.json()
        return body


@pytest.fixture(scope="module")
def email() -> str:
    """Return the address of the account."""
    return f"reference-{uuid.uuid4().hex}@example.com"


@pytest.fixture(scope="module")
def reference(base_url: str, email: str) -> Iterator[ReferenceClient]:
    """Return a client that has registered and logged in."""
    client = ReferenceClient(base_url)
    registered = client.register(email, "password123")
    assert registered["email"] == email
    assert client.log_in(email, "password123") == registered["id"]
    yield client
    client.close()


@pytest.fixture(scope="module")
def other(base_url: str) -> Iterator[ReferenceClient]:
    """Return a client of another user."""
    client = ReferenceClient(base_url)
    email = f"other-{uuid.uuid4().hex}@example.com"
    client.register(email, "password123")
    client.log_in(email, "password123")
    yield client
    client.close()


@pytest.fixture
def stranger(base_url: str) -> Iterator[httpx.Client]:
    """Return a client that has not logged in."""
    with httpx.Client(base_url=base_url, timeout=30) as client:
        yield client


def test_a_user_has_no_password_field(reference: ReferenceClient, email: str) -> None:
    post = reference.create("first title", "first content")
    user = reference.user(post["owner"]["id"])
    assert user == post["owner"]
    assert user["email"] == email
    assert "password" not in user


@pytest.mark.parametrize(
    ("username", "password", "status"),
    [
        ("wrong@example.com", "password123", 403),
        (None, "password123", 422),
        ("wrong@example.com", None, 422),
    ],
)
def test_a_failed_login(
    stranger: httpx.Client, username: str | None, password: str | None, status: int
) -> None:
    form = {"username": username, "password": password}
    sent = {name: value for name, value in form.items() if value is not None}
    response = stranger.post("/login", data=sent)
    assert response.status_code == status
    if status == 403:
        assert response.json()["detail"] == "Invalid Credentials"


@pytest.mark.parametrize(
    ("title", "content", "published"),
    [("awesome new title", "awesome new content", True), ("pizza", "pepperoni", False)],
)
def test_create(reference: ReferenceClient, title: str, content: str, *, published: bool) -> None:
    post = reference.create(title, content, published=published)
    assert (post["title"], post["content"], post["published"]) == (title, content, published)


def test_a_post_is_published_by_default(reference: ReferenceClient) -> None:
    assert reference.create("arbitrary title", "some content")["published"] is True


def test_the_list_has_posts_with_their_votes(reference: ReferenceClient) -> None:
    title = uuid.uuid4().hex
    post = reference.create(title, "content")
    reference.vote(post["id"], 1)
    assert reference.posts(search=title, limit="10", skip="0") == [{"Post": post, "vote": 1}]
    assert reference.posts(search=title, skip="1") == []


def test_read_update_and_delete(reference: ReferenceClient) -> None:
    post = reference.create("title", "content")
    assert reference.post(post["id"]) == post
    updated = reference.update(post["id"], "updated title", "updated content")
    assert updated == post | {"title": "updated title", "content": "updated content"}
    reference.delete(post["id"])
    reference.post(post["id"], status=404)
    reference.update(post["id"], "title", "content", status=404)
    reference.delete(post["id"], status=404)


def test_posts_of_other_users_are_read_only(reference: ReferenceClient, other: ReferenceClient) -> None:
    post = other.create("title", "content")
    assert reference.post(post["id"]) == post
    reference.update(post["id"], "updated title", "content", status=403)
    reference.delete(post["id"], status=403)


def test_vote(reference: ReferenceClient, other: ReferenceClient) -> None:
    post = other.create("title", "content")
    assert reference.vote(post["id"], 1)["message"]
    assert reference.vote(post["id"], 1, status=409)["detail"]
    assert reference.vote(post["id"], 0)["message"]
    assert reference.vote(post["id"], 0, status=404)["detail"]
    reference.vote(80_000_000, 1, status=404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/posts/"),
        ("POST", "/posts/"),
        ("GET", "/posts/1"),
        ("PUT", "/posts/1"),
        ("DELETE", "/posts/1"),
        ("POST", "/vote/"),
    ],
)
def test_a_stranger_is_unauthorized(stranger: httpx.Client, method: str, path: str) -> None:
    body = {"title": "title", "content": "content", "post_id": 1, "dir": 1}
    response = stranger.request(method, path, json=body if method in {"POST", "PUT"} else None)
    assert response.status_code == 401
    assert response.json()["detail"] == "Could not validate credentials"
