"""The page of examples/web in a real browser, against a local run."""

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.docs.pages import ROOT

pytestmark = pytest.mark.long

PASSWORD = "correct horse battery"
PAGE = ROOT / "examples" / "web" / "index.html"


@pytest.fixture
def page(api: str, browser: Browser) -> Iterator[Page]:
    """Return the page as it is opened from a file."""
    context = browser.new_context(viewport={"width": 800, "height": 700})
    page = context.new_page()
    # A password takes a quarter of a second of one processor.
    expect.set_options(timeout=60_000)
    page.goto(f"{PAGE.as_uri()}?{urlencode({'api': api})}")
    yield page
    context.close()


def enter(page: Page, button: str, email: str, password: str = PASSWORD) -> None:
    page.get_by_placeholder("E-mail address").fill(email)
    page.get_by_placeholder("Password", exact=True).fill(password)
    page.get_by_role("button", name=button).click()


def test_a_visitor_signs_up_writes_searches_and_votes(page: Page) -> None:
    enter(page, "Sign up", "ann@example.com")
    for title in ("<b>Rivers</b> & lakes", "Mountains"):
        page.get_by_placeholder("Title", exact=True).fill(title)
        page.get_by_placeholder("What do you want to say?").fill("Seen from above.")
        page.get_by_role("button", name="Publish").click()
        expect(page.get_by_role("heading", name=title)).to_be_visible()
    expect(page.get_by_role("listitem")).to_have_count(2)
    expect(page.get_by_role("button", name="Log in")).to_be_hidden()
    page.get_by_placeholder("Search in titles").fill("Rivers")
    page.get_by_placeholder("Search in titles").press("Enter")
    expect(page.get_by_role("listitem")).to_have_count(1)
    vote = page.get_by_role("listitem").get_by_role("button")
    for votes in (1, 0):
        vote.click()
        expect(vote).to_have_text(f"▲ {votes}")
    expect(page.get_by_role("alert")).to_be_empty()


def test_a_wrong_password_and_a_taken_address_are_explained(page: Page) -> None:
    enter(page, "Sign up", "bob@example.com")
    expect(page.get_by_role("button", name="Publish")).to_be_visible()
    page.reload()
    enter(page, "Sign up", "bob@example.com")
    expect(page.get_by_role("alert")).not_to_be_empty()
    enter(page, "Log in", "bob@example.com", "wrong")
    expect(page.get_by_role("alert")).to_have_text(re.compile("Invalid"))
    enter(page, "Log in", "bob@example.com")
    expect(page.get_by_role("button", name="Publish")).to_be_visible()


def test_a_forgotten_password_is_replaced_through_the_link_in_a_mail(api: str, page: Page) -> None:
    # A session that is open elsewhere.
    enter(page, "Sign up", "eve@example.com", "forgotten battery")
    expect(page.get_by_role("button", name="Publish")).to_be_visible()
    elsewhere, page = page, page.context.new_page()
    page.goto(f"{PAGE.as_uri()}?{urlencode({'api': api})}")
    page.get_by_placeholder("E-mail address").fill("eve@example.com")
    page.get_by_role("button", name="Forgot password").click()
    expect(page.get_by_role("status")).not_to_be_empty()

    open_mail(page, api, "Set a new password")
    # The token is neither in the address bar nor in the history.
    expect(page).to_have_url(re.compile(r"/_app\?api=[^#]*$"))
    page.get_by_placeholder("New password").fill("remembered battery")
    page.get_by_role("button", name="Set new password").click()
    expect(page.get_by_role("status")).to_have_text(re.compile("new password is set"))

    enter(page, "Log in", "eve@example.com", "forgotten battery")
    expect(page.get_by_role("alert")).to_have_text(re.compile("Invalid"))
    enter(page, "Log in", "eve@example.com", "remembered battery")
    expect(page.get_by_role("button", name="Publish")).to_be_visible()
    elsewhere.get_by_placeholder("Search in titles").press("Enter")
    expect(elsewhere.get_by_role("alert")).to_have_text(re.compile("credentials"))

    open_mail(page, api, "Set a new password")
    page.get_by_placeholder("New password").fill("another battery")
    page.get_by_role("button", name="Set new password").click()
    expect(page.get_by_role("alert")).not_to_be_empty()
    expect(page.get_by_role("status")).to_be_empty()


def test_links_in_mails_confirm_a_new_address_and_revert_the_change(api: str, page: Page) -> None:
    enter(page, "Sign up", "old@example.com")
    expect(page.get_by_role("button", name="Publish")).to_be_visible()
    open_mail(page, api, "Verify your e-mail address")
    expect(page.get_by_role("status")).to_have_text("Your e-mail address is confirmed.")

    with httpx.Client(base_url=api, timeout=60) as client:
        login = client.post("/login", data={"username": "old@example.com", "password": PASSWORD})
        change = {"email": "new@example.com", "current_password": PASSWORD}
        token = {"Authorization": f"Bearer {login.json()['access_token']}"}
        client.patch("/users/me", json=change, headers=token).raise_for_status()
    open_mail(page, api, "Confirm your new e-mail address")
    expect(page.get_by_role("status")).to_have_text("Your e-mail address is confirmed.")

    open_mail(page, api, "The e-mail address of your account was changed")
    expect(page.get_by_role("status")).to_have_text(re.compile("former e-mail address"))
    open_mail(page, api, "The e-mail address of your account was changed")
    expect(page.get_by_role("alert")).not_to_be_empty()


def open_mail(page: Page, api: str, subject: str) -> None:
    """Open the newest mail with this subject, and follow its link."""
    page.goto(f"{api}/_mail")
    page.get_by_role("link", name=subject).first.click()
    page.get_by_role("link", name="/_app").first.click()
