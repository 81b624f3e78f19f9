"""The page at /docs, used by a browser as somebody would who has never seen the API."""

import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect, sync_playwright

pytestmark = pytest.mark.long

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
ARGUMENTS = [
    "--no-sandbox",  # which root in a container has not
    "--disable-gpu",
    "--disable-quic",
    # What a browser does by itself is not a request of the page.
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# As the document's examples have it.
EMAIL, PASSWORD, TITLE = "ann@example.com", "open sesame", "Hello"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a browser; skip, and say how to get one, where there is none."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt install chromium, or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def requests() -> list[str]:
    """Return the addresses that the page asks for, as it does."""
    return []


@pytest.fixture
def page(api: str, browser: Browser, requests: list[str]) -> Iterator[Page]:
    """Return the page at /docs, loaded."""
    context = browser.new_context()
    page = context.new_page()

    def on_request(request: Request) -> None:
        requests.append(request.url)

    page.on("request", on_request)
    page.goto(f"{api}/docs", wait_until="networkidle")
    expect(page.get_by_role("heading", name="Social")).to_be_visible()
    yield page
    context.close()


def test_the_page_loads_without_a_request_to_anywhere_else(api: str, page: Page, requests: list[str]) -> None:
    expect(page.locator(".opblock")).not_to_have_count(0)
    assert f"{api}/docs" in requests
    # A browser asks for the icon of any site.
    assert [url for url in requests if not url.startswith(("data:", "blob:"))] == [f"{api}/docs"]


def test_the_link_in_the_page_leads_to_the_document(page: Page) -> None:
    link = page.get_by_role("link", name="/docs?format=json")
    with page.context.expect_page() as opened:
        link.click()
    assert '"openapi":"3.1.0"' in opened.value.locator("body").inner_text().replace(" ", "")


def test_a_reader_signs_up_logs_in_writes_a_post_and_sees_it_in_the_list(page: Page) -> None:
    # With what the page suggests to send.
    status, user = try_out(page, "users", "sign_up")
    assert (status, user["email"]) == ("201", EMAIL)

    assert try_out(page, "posts", "create_post")[0] == "401"
    log_in(page)
    status, post = try_out(page, "posts", "create_post")
    assert (status, post["title"]) == ("201", TITLE)

    status, posts = try_out(page, "posts", "list_posts")
    assert status == "200"
    assert [entry["Post"]["id"] for entry in posts] == [post["id"]]
    assert posts[0]["Post"]["owner"]["email"] == EMAIL


def log_in(page: Page) -> None:
    """Log in through the page's own dialogue, by the password flow."""
    page.locator(".scheme-container .authorize").click()
    dialogue = page.locator(".modal-ux")
    dialogue.locator("#oauth_username").fill(EMAIL)
    dialogue.locator("#oauth_password").fill(PASSWORD)
    with page.expect_response("**/login") as answer:
        dialogue.locator("button.authorize").first.click()
    assert answer.value.status == 200
    expect(dialogue.get_by_role("heading", name="Authorized")).to_be_visible()
    dialogue.locator(".close-modal").click()


def try_out(page: Page, tag: str, operation: str) -> tuple[str, Any]:
    """Send the request that the page suggests for an operation; return the status and body that it shows."""
    block = page.locator(f"#operations-{tag}-{operation}")
    if "is-open" not in (block.get_attribute("class") or ""):
        block.locator(".opblock-summary-control").click()
        block.locator(".try-out__btn").click()
    with page.expect_response("**") as answer:
        block.locator(".execute").click()
    shown = block.locator(".live-responses-table .response").first
    expect(shown.locator(".response-col_status").first).to_have_text(
        str(answer.value.status), use_inner_text=True
    )
    return str(answer.value.status), json.loads(text_of(shown.locator(".highlight-code code").first))


def text_of(code: Locator) -> str:
    """Return the text of a block of code."""
    expect(code).to_be_visible()
    return code.inner_text()
