"""The locks, and scripts/audit.py beside a source of advisories of our own."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted([*ROOT.glob("requirements/*.txt"), *ROOT.glob("[lm]*/**/requirements.txt")])
LOCKED = re.compile(r"[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}\b")
ASKED: list[dict[str, object]] = []


class Advisories(BaseHTTPRequestHandler):
    """Knows one vulnerability, of pg8000; a path before that of OSV names another status and answer."""

    def do_POST(self) -> None:
        queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        ASKED.extend(queries)
        known = [{"vulns": [{"id": "TEST-1"}]} if q["package"]["name"] == "pg8000" else {} for q in queries]
        status, _, other = self.path.removesuffix("/v1/querybatch").lstrip("/").partition("/")
        self.send_response(int(status or 200))
        self.end_headers()
        self.wfile.write(unquote(other).encode() or json.dumps({"results": known}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def source() -> Iterator[str]:
    """Return where advisories are to be had."""
    with HTTPServer(("127.0.0.1", 0), Advisories) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def audit(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts/audit.py"],
        env=os.environ | {"OSV_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_known_vulnerability_is_named_with_the_locks_that_have_it(source: str) -> None:
    run = audit(source)
    assert run.returncode == 1
    assert "layers/common/requirements.txt" in run.stdout
    assert "TEST-1" in run.stdout
    assert {"pg8000", "sqlalchemy", "pytest", "uv", "fastapi"} <= {q["package"]["name"] for q in ASKED}  # type: ignore[index]  # of our own making


def test_a_source_that_cannot_be_reached_is_said_and_is_no_failure() -> None:
    run = audit("http://127.0.0.1:1")
    assert run.returncode == 0
    assert run.stdout.startswith("NOT CHECKED")


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (404, "{}"),
        (500, "{}"),
        (200, "<html>"),
        (200, '{"answers": []}'),
        (200, '{"results": []}'),
        (200, '{"results": 5}'),
        (200, "[]"),
    ],
)
def test_a_source_that_has_changed_is_a_failure(source: str, status: int, answer: str) -> None:
    run = audit(f"{source}/{status}/{quote(answer, safe='')}")
    assert run.returncode == 1
    assert run.stdout.startswith("NOT CHECKED")
    assert run.stdout.count("\n") == 1


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_every_locked_version_has_hashes(lock: Path) -> None:
    versions = lock.read_text().replace("\\\n", "").splitlines()
    assert versions
    assert [version for version in versions if not LOCKED.match(version)] == []


def test_nothing_is_installed_without_its_hash() -> None:
    installs = [
        line
        for makefile in ("Makefile", "sam_build/Makefile")
        for line in (ROOT / makefile).read_text().splitlines()
        if "pip install" in line
    ]
    assert len(installs) == 3
    assert all("--require-hashes" in line for line in installs)
