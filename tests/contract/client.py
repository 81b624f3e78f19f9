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

MOST_RETRIES = 5


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
    answer = client.post("/posts/", json=body, headers=owner.headers)
    assert answer.status_code == 201, answer.text
    post: dict[str, Any] = answer.json()
    return post


def vote(client: httpx.Client, voter: Account, post_id: object, direction: object = 1) -> httpx.Response:
    """Vote."""
    return client.post("/vote/", json={"post_id": post_id, "dir": direction}, headers=voter.headers)


def together(number: int, request: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    """Send this many requests at once and return the answers.

    Whom the gateway has let wait for too long, as it may on a busy machine, asks again.
    """

    def patiently(index: int) -> httpx.Response:
        answer = request(index)
        for _ in range(MOST_RETRIES):
            if answer.status_code != 429:
                break
            time.sleep(int(answer.headers["Retry-After"]))
            answer = request(index)
        return answer

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(patiently, range(number)))


def at_once(number: int, request: Callable[[int], httpx.Response]) -> list[int]:
    """Send this many requests at once and return the statuses, in order of size."""
    return sorted(answer.status_code for answer in together(number, request))


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
