"""Helpers of the contract tests: accounts, requests, and checks of responses."""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from local.mail import Mailbox

PASSWORD = "correct-horse-S3cret"

UNAUTHORIZED = {"detail": "Could not validate credentials"}

MAX_RETRIES = 5


class Account(NamedTuple):
    """An account with an access token."""

    id: int
    email: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers of an authenticated request."""
        return {"Authorization": f"Bearer {self.token}"}


def new_email() -> str:
    """Return an unused address; the API may hold data of earlier runs."""
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
    """Exchange a refresh token for new tokens."""
    return client.post("/auth/refresh", json={"refresh_token": token})


def mailed_tokens(mailbox: Mailbox, recipient: str, purpose: str) -> list[str]:
    """Return the tokens in the mails to an address whose links are for this purpose, the newest first."""
    mails: list[str] = [mail.get_content() for mail in mailbox.mails().values() if mail["To"] == recipient]
    fragments = [urlsplit(word).fragment for mail in mails for word in mail.split() if "://" in word]
    prefix = f"{purpose}="
    return [fragment.removeprefix(prefix) for fragment in fragments if fragment.startswith(prefix)]


def new_post(client: httpx.Client, owner: Account, **fields: object) -> dict[str, Any]:
    """Create a post and return it."""
    body = {"title": "Title", "content": "Content", **fields}
    response = client.post("/posts/", json=body, headers=owner.headers)
    assert response.status_code == 201, response.text
    post: dict[str, Any] = response.json()
    return post


def vote(client: httpx.Client, voter: Account, post_id: object, direction: object = 1) -> httpx.Response:
    """Vote."""
    return client.post("/vote/", json={"post_id": post_id, "dir": direction}, headers=voter.headers)


def send_concurrently(number: int, request: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    """Send this many concurrent requests and return the responses.

    Repeat a request that the gateway throttled, as it may on a slow machine.
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
    """Send this many concurrent requests and return the statuses, sorted."""
    return sorted(response.status_code for response in send_concurrently(number, request))


def assert_detail(response: httpx.Response, status: int) -> None:
    """Check that the response is an error with this status."""
    assert response.status_code == status, response.text
    assert response.json().keys() == {"detail"}
    assert isinstance(response.json()["detail"], str)


def assert_invalid(response: httpx.Response, place: str, *fields: str) -> None:
    """Check that the response is a 422 that names exactly these fields of the body, query or path."""
    assert response.status_code == 422, response.text
    errors = response.json()["detail"]
    assert errors
    assert all(error.keys() == {"type", "loc", "msg"} for error in errors)
    assert all(error["loc"][0] == place for error in errors)
    if fields:
        assert [error["loc"][1] for error in errors] == list(fields)


def assert_unauthorized(response: httpx.Response) -> None:
    """Check that the response is the 401 of the contract."""
    assert response.status_code == 401, response.text
    assert response.json() == UNAUTHORIZED
    assert response.headers["WWW-Authenticate"] == "Bearer"


def assert_timestamp(text: str) -> None:
    """Check that the text is an ISO 8601 time with an offset."""
    assert datetime.fromisoformat(text).utcoffset() is not None
