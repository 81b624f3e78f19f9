"""The first session of the README, typed into a shell."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

from tests.docs.pages import ROOT, under

ADDRESS = "http://127.0.0.1:3000"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_the_first_session_prints_what_the_readme_says(api: str) -> None:
    session, answer = under(ROOT / "README.md", "A first session")
    assert ADDRESS in session.text
    script = "set -euo pipefail\n" + session.text.replace(ADDRESS, api)
    run = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    *_, listed = documents(run.stdout)
    assert listed == json.loads(timeless(answer.text))


def documents(text: str) -> Iterator[Any]:
    """Yield the JSON documents that stand one after another in a text."""
    rest = timeless(text).lstrip()
    while rest:
        document, end = json.JSONDecoder().raw_decode(rest)
        yield document
        rest = rest[end:].lstrip()


def timeless(text: str) -> str:
    """Return a text with all times the same, which differ from one session to the next."""
    return MOMENT.sub("2026-11-22T09:00:00.000000Z", text)
