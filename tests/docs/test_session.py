"""The first session of the README, run in a shell."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

from tests.docs.pages import ROOT, under

ADDRESS = "http://127.0.0.1:3000"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_the_first_session_prints_what_the_readme_says(api: str) -> None:
    session, response = under(ROOT / "README.md", "A first session")
    assert ADDRESS in session.text
    script = "set -euo pipefail\n" + session.text.replace(ADDRESS, api)
    run = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    *_, listed = documents(run.stdout)
    assert listed == json.loads(timeless(response.text))


def documents(text: str) -> Iterator[Any]:
    """Yield the JSON documents of a text that contains one after another."""
    rest = timeless(text).lstrip()
    while rest:
        document, end = json.JSONDecoder().raw_decode(rest)
        yield document
        rest = rest[end:].lstrip()


def timeless(text: str) -> str:
    """Return a text with all times replaced by the same one, because they differ from run to run."""
    return TIME.sub("2026-11-22T09:00:00.000000Z", text)
