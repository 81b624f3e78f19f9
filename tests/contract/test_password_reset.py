"""Forgotten passwords. A client address may send 30 requests an hour, so these tests send only a few."""

import httpx
import pytest

from local.mail import Mailbox
from tests.contract.client import (
    Account,
    assert_detail,
    assert_invalid,
    assert_unauthorized,
    concurrent_statuses,
    log_in,
    mailed_tokens,
    new_account,
    new_email,
    refresh,
)

NEW_PASSWORD = "battery-staple-S3cret"


@pytest.fixture
def account(client: httpx.Client) -> Account:
    """Return an account that the test may change."""
    return new_account(client)


def request_reset(client: httpx.Client, email: str, slash: str = "") -> httpx.Response:
    return client.post(f"/auth/password-reset{slash}", json={"email": email})


def confirm(client: httpx.Client, token: str, slash: str = "") -> httpx.Response:
    body = {"token": token, "new_password": NEW_PASSWORD}
    return client.post(f"/auth/password-reset/confirm{slash}", json=body)


def test_a_forgotten_password_is_replaced_by_mail(
    client: httpx.Client, account: Account, mailbox: Mailbox, slash: str
) -> None:
    session = log_in(client, account.email).json()
    assert request_reset(client, account.email, slash).status_code == 202
    token = mailed_tokens(mailbox, account.email, "reset")[0]
    response = confirm(client, token, slash)
    assert (response.status_code, response.content) == (204, b"")
    assert_unauthorized(client.get("/users/me", headers=account.headers))
    assert_unauthorized(refresh(client, session["refresh_token"]))
    assert_detail(log_in(client, account.email), 403)
    assert log_in(client, account.email, NEW_PASSWORD).status_code == 200
    assert_detail(confirm(client, token, slash), 403)


def test_an_unknown_address_gets_the_same_response(client: httpx.Client, ada: Account) -> None:
    known, unknown = request_reset(client, ada.email), request_reset(client, new_email())
    assert (known.status_code, known.json().keys()) == (202, {"message"})
    assert (unknown.status_code, unknown.content) == (known.status_code, known.content)
    assert known.headers.keys() == unknown.headers.keys()


def test_of_two_simultaneous_uses_of_a_link_one_succeeds(
    client: httpx.Client, account: Account, mailbox: Mailbox
) -> None:
    request_reset(client, account.email)
    token = mailed_tokens(mailbox, account.email, "reset")[0]
    assert concurrent_statuses(2, lambda _: confirm(client, token)) == [204, 403]


def test_two_simultaneous_requests_for_one_address_are_accepted(
    client: httpx.Client, account: Account, mailbox: Mailbox
) -> None:
    assert concurrent_statuses(2, lambda _: request_reset(client, account.email)) == [202, 202]
    assert confirm(client, mailed_tokens(mailbox, account.email, "reset")[0]).status_code == 204


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/auth/password-reset", {}, "email"),
        ("/auth/password-reset", {"email": ""}, "email"),
        ("/auth/password-reset", {"email": "x" * 255}, "email"),
        ("/auth/password-reset/confirm", {"token": "x"}, "new_password"),
        ("/auth/password-reset/confirm", {"token": "x", "new_password": "x" * 73}, "new_password"),
        ("/auth/password-reset/confirm", {"token": "x" * 101, "new_password": NEW_PASSWORD}, "token"),
    ],
)
def test_invalid_input_is_rejected(
    client: httpx.Client, path: str, body: dict[str, str], field: str, slash: str
) -> None:
    assert_invalid(client.post(f"{path}{slash}", json=body), "body", field)
