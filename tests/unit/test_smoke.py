"""scripts/smoke.py against APIs that return wrong responses."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOOD = {
    "GET /": (200, "{}"),
    "GET /openapi.json": (200, "{}"),
    "GET /posts": (401, "{}"),
    "GET /nothing/here": (404, "{}"),
    "POST /users": (201, "{}"),
    "POST /login": (200, '{"access_token": "token"}'),
    "POST /posts": (201, '{"id": 7}'),
    "POST /vote": (201, "{}"),
    "GET /posts?limit=1&search=Smoke": (200, '[{"Post": {"id": 7}, "vote": 1}]'),
    "DELETE /users/me": (204, ""),
}


@contextmanager
def api(responses: dict[str, tuple[int, str]]) -> Iterator[str]:
    """Serve these responses, by method and path, and give the URL."""

    class Api(BaseHTTPRequestHandler):
        def response(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, text = responses[f"{self.command} {self.path}"]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_DELETE = response  # noqa: N815  # the names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def smoke(**responses: tuple[int, str]) -> tuple[int, str]:
    """Return the exit code and the one line for an API with these responses to a vote and a deletion."""
    names = {"vote": "POST /vote", "delete": "DELETE /users/me"}
    with api(GOOD | {names[name]: response for name, response in responses.items()}) as url:
        run = subprocess.run(
            [sys.executable, ROOT / "scripts/smoke.py", url], capture_output=True, text=True, check=False
        )
    return run.returncode, run.stderr


def test_an_api_that_works() -> None:
    assert smoke() == (0, "")


@pytest.mark.parametrize(
    ("responses", "said"),
    [
        ({"vote": (500, "{}")}, ["POST /vote returned 500"]),
        ({"delete": (500, "{}")}, ["DELETE /users/me returned 500"]),
        (
            {"vote": (500, "{}"), "delete": (502, "{}")},
            ["POST /vote returned 500", "DELETE /users/me returned 502"],
        ),
    ],
)
def test_failures_are_reported_in_order(responses: dict[str, tuple[int, str]], said: list[str]) -> None:
    code, line = smoke(**responses)
    assert code == 1
    assert line.startswith(f"error: {said[0]}")
    assert line.count("\n") == 1
    assert said[-1] in line
