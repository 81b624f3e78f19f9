"""The page at /docs in a real browser, used as a newcomer uses it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect

pytestmark = pytest.mark.long

# The examples of the OpenAPI document.
LAPTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True}
EMAIL, PASSWORD, TITLE = "ann@example.com", "open sesame", "Hello"


@pytest.fixture
def requests() -> list[str]:
    """Return a list to which `page` adds the URL of each request."""
    return []


@pytest.fixture
def page(api: str, browser: Browser, requests: list[str]) -> Iterator[Page]:
    """Return the loaded page at /docs."""
    context = browser.new_context()
    page = context.new_page()

    def on_request(request: Request) -> None:
        requests.append(request.url)

    page.on("request", on_request)
    page.goto(f"{api}/docs", wait_until="networkidle")
    expect(page.get_by_role("heading", name="Social")).to_be_visible()
    yield page
    context.close()


def test_the_page_sends_no_request_to_another_server(api: str, page: Page, requests: list[str]) -> None:
    expect(page.locator(".opblock")).not_to_have_count(0)
    assert f"{api}/docs" in requests
    # The browser requests the icon of every site by itself.
    assert [url for url in requests if not url.startswith(("data:", "blob:"))] == [f"{api}/docs"]


def test_the_link_in_the_page_leads_to_the_document(page: Page) -> None:
    link = page.get_by_role("link", name="/docs?format=json")
    with page.context.expect_page() as opened:
        link.click()
    assert '"openapi":"3.1.0"' in opened.value.locator("body").inner_text().replace(" ", "")


def test_a_reader_signs_up_logs_in_writes_a_post_and_sees_it_in_the_list(page: Page) -> None:
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.reload(wait_until="networkidle")
    # Send the bodies that the page suggests.
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

    # The page obeys its Content-Security-Policy, and keeps the token in memory only.
    assert [text for text in messages if "Content Security Policy" in text] == []
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


@pytest.mark.parametrize("device", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_authorize_shows_user_name_and_password_without_scrolling(
    api: str, browser: Browser, device: dict[str, Any]
) -> None:
    context = browser.new_context(**device)
    page = context.new_page()
    page.goto(f"{api}/docs", wait_until="networkidle")
    page.locator(".scheme-container .authorize").click()
    dialog = page.locator(".modal-ux")
    inputs = dialog.locator("input:visible, select:visible")
    assert [field.get_attribute("id") for field in inputs.all()][:2] == ["oauth_username", "oauth_password"]
    expect(dialog.locator("#client_id_password")).not_to_be_visible()
    for field in ("#oauth_username", "#oauth_password", "button.authorize >> nth=0"):
        expect(dialog.locator(field)).to_be_in_viewport(ratio=1)
    context.close()


def test_a_wrong_password_gives_a_sentence(page: Page) -> None:
    page.locator(".scheme-container .authorize").click()
    dialog = page.locator(".modal-ux")
    with page.expect_response("**/login"):
        dialog.locator("button.authorize").first.click()
    errors = dialog.locator(".errors")
    expect(errors).to_have_text("Enter a user name and a password.", use_inner_text=True)
    dialog.locator("#oauth_username").fill("nobody@example.com")
    dialog.locator("#oauth_password").fill(PASSWORD)
    with page.expect_response("**/login"):
        dialog.locator("button.authorize").first.click()
    expect(errors).to_have_text("The user name or the password is wrong.", use_inner_text=True)


def test_the_page_has_a_title_and_an_icon_of_its_own(page: Page) -> None:
    assert page.title() == "Social API"
    assert page.locator("link[rel=icon]").get_attribute("href", timeout=1000) is not None


def log_in(page: Page) -> None:
    """Log in through the *Authorize* dialog, with the password flow."""
    page.locator(".scheme-container .authorize").click()
    dialog = page.locator(".modal-ux")
    dialog.locator("#oauth_username").fill(EMAIL)
    dialog.locator("#oauth_password").fill(PASSWORD)
    with page.expect_response("**/login") as response:
        dialog.locator("button.authorize").first.click()
    assert response.value.status == 200
    expect(dialog.get_by_role("heading", name="Authorized")).to_be_visible()
    dialog.locator(".close-modal").click()


def try_out(page: Page, tag: str, operation: str) -> tuple[str, Any]:
    """Send the request that the page suggests for an operation; return the status and body that it shows."""
    block = page.locator(f"#operations-{tag}-{operation}")
    if "is-open" not in (block.get_attribute("class") or ""):
        block.locator(".opblock-summary-control").click()
        block.locator(".try-out__btn").click()
    with page.expect_response("**") as response:
        block.locator(".execute").click()
    shown = block.locator(".live-responses-table .response").first
    expect(shown.locator(".response-col_status").first).to_have_text(
        str(response.value.status), use_inner_text=True
    )
    return str(response.value.status), json.loads(text_of(shown.locator(".highlight-code code").first))


def text_of(code: Locator) -> str:
    """Return the text of a code block."""
    expect(code).to_be_visible()
    return code.inner_text()
