"""A client of a running API: the local gateway, or the API at CONTRACT_URL."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.contract.client import PASSWORD, Account, new_account
from tests.support.database import Database

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def served_database(worker_database: Database) -> Iterator[str]:
    """Return the URL of an empty database for the gateway, which migrates it."""
    name = f"contract_{uuid.uuid4().hex}"
    worker_database.run(f"CREATE DATABASE {name}")
    yield urlsplit(worker_database.url)._replace(path=f"/{name}").geturl()
    worker_database.run(f"DROP DATABASE {name} WITH (FORCE)")


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
    with log.open("w") as stderr:
        gateway = subprocess.Popen(
            [sys.executable, "-m", "local", "serve"],
            cwd=ROOT,
            env=os.environ | {"PORT": "0", "DATABASE_URL": request.getfixturevalue("served_database")},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    with gateway:
        ready = gateway.stdout.readline() if gateway.stdout else ""
        assert ready.startswith("Ready on "), log.read_text()
        yield ready.removeprefix("Ready on ").strip()
        gateway.terminate()
    assert gateway.returncode == 0
    assert_silent(log.read_text())


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
