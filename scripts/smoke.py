"""Uses a deployed API once, from sign-up to vote, and deletes what it created.

Usage: smoke.py https://api.example.com
"""

import json
import secrets
import sys
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

TIMEOUT_SECONDS = 30
FORM = "application/x-www-form-urlencoded"


class SmokeError(Exception):
    """The API returned a wrong response; the message says where."""


class Client:
    """Sends requests to the API at a URL, with `token` if it is set."""

    def __init__(self, url: str) -> None:
        # Requests contain passwords, so they must be encrypted or stay on this machine.
        if not url.startswith(("https://", "http://127.0.0.1:")):
            raise SmokeError(f"{url} is not an HTTPS URL")
        self._url = url.rstrip("/")
        self.token = ""

    def expect(self, status: int, method: str, path: str, body: object = None, *, form: bool = False) -> Any:  # noqa: ANN401  # any JSON
        """Send a request and return the JSON of its response; raises SmokeError when the status differs."""
        data = None if body is None else (urlencode(body) if form else json.dumps(body)).encode()  # type: ignore[arg-type]  # a form is a mapping
        headers = {"Content-Type": FORM if form else "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self._url + path, data, headers, method=method)  # noqa: S310  # HTTPS
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310  # see above
                got, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            got, text = error.code, error.read()
        except OSError as error:
            raise SmokeError(f"{method} {path}: {error}") from error
        if got != status:
            raise SmokeError(f"{method} {path} returned {got} instead of {status}: {text[:200]!r}")
        return json.loads(text) if text else None


def main(url: str) -> None:
    """Use every part of the API once; raises SmokeError at the first wrong response."""
    client = Client(url)
    email, password = f"smoke-{secrets.token_hex(8)}@example.com", secrets.token_urlsafe(24)
    client.expect(200, "GET", "/")
    client.expect(200, "GET", "/openapi.json")
    client.expect(401, "GET", "/posts")
    client.expect(404, "GET", "/nothing/here")
    client.expect(201, "POST", "/users", {"email": email, "password": password})
    credentials = {"username": email, "password": password}
    client.token = client.expect(200, "POST", "/login", credentials, form=True)["access_token"]
    try:
        _use(client)
    finally:
        fault = sys.exception()
        try:
            client.expect(204, "DELETE", "/users/me", {"current_password": password})
        except SmokeError as error:
            if fault is None:
                raise
            # Report the first error, too: it often causes this one.
            first = fault if isinstance(fault, SmokeError) else repr(fault)
            raise SmokeError(f"{first}; and the account {email} was not deleted: {error}") from fault


def _use(client: Client) -> None:
    post = client.expect(201, "POST", "/posts", {"title": "Smoke", "content": "test", "published": False})
    client.expect(201, "POST", "/vote", {"post_id": post["id"], "dir": 1})
    listed = client.expect(200, "GET", "/posts?limit=1&search=Smoke")
    if (listed[0]["Post"]["id"], listed[0]["vote"]) != (post["id"], 1):
        raise SmokeError("the vote was not counted")


try:
    main(sys.argv[1])
except SmokeError as error:
    sys.exit(f"error: {error}")
