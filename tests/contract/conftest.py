"""A client of a running API: the local gateway, or the API at CONTRACT_URL."""

import os
from collections.abc import Iterator

import httpx
import pytest

from local.mail import Mailbox
from tests.contract.client import PASSWORD, Account, new_account
from tests.support.database import Database
from tests.support.local_gateway import local_gateway


@pytest.fixture(scope="session")
def served_database(worker_database: Database) -> Iterator[str]:
    """Return the URL of an empty database for the gateway, which migrates it."""
    with worker_database.new_database() as url:
        yield url


@pytest.fixture(scope="session")
def is_own_run() -> bool:
    """Return whether the tests started the API, so that they know its keys and its database."""
    return "CONTRACT_URL" not in os.environ


@pytest.fixture(scope="session")
def base_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, *, is_own_run: bool
) -> Iterator[str]:
    """Return the URL of the API: CONTRACT_URL, or that of a local gateway started for this session."""
    if not is_own_run:
        yield os.environ["CONTRACT_URL"].rstrip("/")
        return
    log = tmp_path_factory.mktemp("gateway") / "log"
    with local_gateway(request.getfixturevalue("served_database"), log) as gateway:
        MAILBOXES[gateway.url] = gateway.mailbox
        yield gateway.url
    # A line about a mail has its link, whose token may look like a secret.
    assert_silent(
        "".join(line for line in log.read_text().splitlines(keepends=True) if not line.startswith("mail to "))
    )


# The mails of each gateway that this session started, by its URL.
MAILBOXES: dict[str, Mailbox] = {}


@pytest.fixture(scope="session")
def mailbox(base_url: str) -> Mailbox:
    """Return the mails that the API sent."""
    if base_url not in MAILBOXES:
        pytest.skip("only the tests' own API has a mailbox that they can read")
    return MAILBOXES[base_url]


# Parts of a whole event, which must not be logged.
EVENT = ("multiValueHeaders", "requestContext", "httpMethod", "authorizationToken")

# The refresh tokens that the client received; they cannot be recognized by their form.
REFRESH_TOKENS: set[str] = set()


def remember(response: httpx.Response) -> None:
    """Remember the refresh token of a response that has one."""
    request = response.request
    path = request.url.path.rstrip("/")
    if request.method == "POST" and path in {"/login", "/auth/refresh"} and response.is_success:
        response.read()
        REFRESH_TOKENS.add(response.json()["refresh_token"])


def assert_silent(log: str) -> None:
    """Check that the log contains no secret and no stack trace."""
    assert "POST" in log
    for secret in (PASSWORD, "eyJ", "$2b$", "Traceback", "SELECT", "INSERT", *EVENT, *REFRESH_TOKENS):
        assert secret not in log


@pytest.fixture(scope="session")
def client(base_url: str) -> Iterator[httpx.Client]:
    """Return a client that does not follow redirects, because the contract has none."""
    with httpx.Client(base_url=base_url, timeout=30, event_hooks={"response": [remember]}) as client:
        yield client


@pytest.fixture(scope="session")
def ada(client: httpx.Client) -> Account:
    """Return an account."""
    return new_account(client)


@pytest.fixture(scope="session")
def bob(client: httpx.Client) -> Account:
    """Return another account."""
    return new_account(client)


@pytest.fixture(scope="session")
def deleted(client: httpx.Client) -> Account:
    """Return a deleted account whose token has not expired."""
    account = new_account(client)
    body = {"current_password": PASSWORD}
    assert client.request("DELETE", "/users/me", json=body, headers=account.headers).status_code == 204
    return account


@pytest.fixture(params=["", "/"], ids=["no slash", "slash"])
def slash(request: pytest.FixtureRequest) -> str:
    """Return the end of a path: with or without a slash."""
    ending: str = request.param
    return ending
