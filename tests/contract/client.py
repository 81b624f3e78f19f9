"""What the tests of the contract have in common: an HTTP client, accounts, and the shapes."""

import uuid
from datetime import datetime
from typing import Any, NamedTuple

import httpx

PASSWORD = "correct-horse-S3cret"

UNAUTHORIZED = {"detail": "Could not validate credentials"}


class Account(NamedTuple):
    """Somebody who has signed up and logged in."""

    id: int
    email: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What a request of theirs carries."""
        return {"Authorization": f"Bearer {self.token}"}


def new_email() -> str:
    """Return an address that nobody has: the API may have been used before."""
    return f"{uuid.uuid4().hex}@example.com"


def new_account(client: httpx.Client) -> Account:
    """Sign up and log in."""
    email = new_email()
    signed_up = client.post("/users/", json={"email": email, "password": PASSWORD})
    assert signed_up.status_code == 201, signed_up.text
    logged_in = client.post("/login", data={"username": email, "password": PASSWORD})
    assert logged_in.status_code == 200, logged_in.text
    return Account(signed_up.json()["id"], email, logged_in.json()["access_token"])


def new_post(client: httpx.Client, owner: Account, **fields: object) -> dict[str, Any]:
    """Write a post and return it."""
    body = {"title": "Title", "content": "Content", **fields}
    answer = client.post("/posts/", json=body, headers=owner.headers)
    assert answer.status_code == 201, answer.text
    post: dict[str, Any] = answer.json()
    return post


def vote(client: httpx.Client, voter: Account, post_id: object, direction: object = 1) -> httpx.Response:
    """Vote."""
    return client.post("/vote/", json={"post_id": post_id, "dir": direction}, headers=voter.headers)


def assert_detail(answer: httpx.Response, status: int) -> None:
    """Make sure of an error in the shape of the contract."""
    assert answer.status_code == status, answer.text
    assert answer.json().keys() == {"detail"}
    assert isinstance(answer.json()["detail"], str)


def assert_invalid(answer: httpx.Response, place: str, *fields: str) -> None:
    """Make sure of an answer that names exactly these fields of the body, the query or the path."""
    assert answer.status_code == 422, answer.text
    errors = answer.json()["detail"]
    assert errors
    assert all(error.keys() == {"type", "loc", "msg"} for error in errors)
    assert all(error["loc"][0] == place for error in errors)
    if fields:
        assert [error["loc"][1] for error in errors] == list(fields)


def assert_unauthorized(answer: httpx.Response) -> None:
    """Make sure that nobody was let in."""
    assert answer.status_code == 401, answer.text
    assert answer.json() == UNAUTHORIZED
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def assert_moment(text: str) -> None:
    """Make sure of a time in ISO 8601 with an offset."""
    assert datetime.fromisoformat(text).utcoffset() is not None
