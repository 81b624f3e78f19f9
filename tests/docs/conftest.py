"""A local run for the requests in the pages, and a browser."""

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.database import Database
from tests.support.local_gateway import local_gateway

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
ARGUMENTS = [
    "--no-sandbox",  # root in a container has no sandbox
    "--disable-gpu",
    "--disable-quic",
    # Without these, the browser sends requests that are not from the page.
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def api(worker_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of an API with an empty database, because a new developer starts with one."""
    log = tmp_path_factory.mktemp("api") / "log"
    with pytest.MonkeyPatch.context() as patch, worker_database.new_database() as url:
        # Every origin may read responses, as under `make dev`.
        patch.delenv("CORS_ORIGIN")
        with local_gateway(url, log) as run:
            yield run.url


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Return a browser. Without Chromium, skip the test and say how to install it."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt install chromium, or set CHROMIUM to its path")
    # Imported here, because the import takes seconds and only long tests need it.
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
