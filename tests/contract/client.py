"""What the tests of the contract have in common: an HTTP client, accounts, and the shapes."""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, NamedTuple

import httpx

PASSWORD = "correct-horse-S3cret"

UNAUTHORIZED = {"detail": "Could not validate credentials"}

MAX_RETRIES = 5


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
    logged_in = log_in(client, email)
    assert logged_in.status_code == 200, logged_in.text
    return Account(signed_up.json()["id"], email, logged_in.json()["access_token"])


def log_in(client: httpx.Client, email: str, password: str = PASSWORD) -> httpx.Response:
    """Log in."""
    return client.post("/login", data={"username": email, "password": password})


def refresh(client: httpx.Client, token: object) -> httpx.Response:
    """Trade a refresh token for new tokens."""
    return client.post("/auth/refresh", json={"refresh_token": token})


def new_post(client: httpx.Client, owner: Account, **fields: object) -> dict[str, Any]:
    """Write a post and return it."""
    body = {"title": "Title", "content": "Content", **fields}
    response = client.post("/posts/", json=body, headers=owner.headers)
    assert response.status_code == 201, response.text
    post: dict[str, Any] = response.json()
    return post


def vote(client: httpx.Client, voter: Account, post_id: object, direction: object = 1) -> httpx.Response:
    """Vote."""
    return client.post("/vote/", json={"post_id": post_id, "dir": direction}, headers=voter.headers)


def send_concurrently(number: int, request: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    """Send this many requests at once and return the responses.

    Whom the gateway has let wait for too long, as it may on a busy machine, asks again.
    """

    def retry_when_limited(index: int) -> httpx.Response:
        response = request(index)
        for _ in range(MAX_RETRIES):
            if response.status_code != 429:
                break
            time.sleep(int(response.headers["Retry-After"]))
            response = request(index)
        return response

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(retry_when_limited, range(number)))


def concurrent_statuses(number: int, request: Callable[[int], httpx.Response]) -> list[int]:
    """Send this many requests at once and return the statuses, in order of size."""
    return sorted(response.status_code for response in send_concurrently(number, request))


def assert_detail(response: httpx.Response, status: int) -> None:
    """Make sure of an error in the shape of the contract."""
    assert response.status_code == status, response.text
    assert response.json().keys() == {"detail"}
    assert isinstance(response.json()["detail"], str)


def assert_invalid(response: httpx.Response, place: str, *fields: str) -> None:
    """Make sure of a response that names exactly these fields of the body, the query or the path."""
    assert response.status_code == 422, response.text
    errors = response.json()["detail"]
    assert errors
    assert all(error.keys() == {"type", "loc", "msg"} for error in errors)
    assert all(error["loc"][0] == place for error in errors)
    if fields:
        assert [error["loc"][1] for error in errors] == list(fields)


def assert_unauthorized(response: httpx.Response) -> None:
    """Make sure that nobody was let in."""
    assert response.status_code == 401, response.text
    assert response.json() == UNAUTHORIZED
    assert response.headers["WWW-Authenticate"] == "Bearer"


def assert_timestamp(text: str) -> None:
    """Make sure of a time in ISO 8601 with an offset."""
    assert datetime.fromisoformat(text).utcoffset() is not None
