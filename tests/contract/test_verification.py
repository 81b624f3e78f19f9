"""Verified addresses: after a sign-up, and the revert of a change."""

import httpx
import pytest

from local.mail import Mailbox
from tests.contract.client import (
    PASSWORD,
    Account,
    assert_detail,
    assert_invalid,
    assert_unauthorized,
    concurrent_statuses,
    log_in,
    mailed_tokens,
    new_account,
    new_email,
)


@pytest.fixture
def account(client: httpx.Client) -> Account:
    """Return an account that the test may change."""
    return new_account(client)


def request_verification(client: httpx.Client, account: Account, slash: str = "") -> httpx.Response:
    return client.post(f"/auth/verification{slash}", headers=account.headers)


def confirm(client: httpx.Client, token: str, slash: str = "") -> httpx.Response:
    return client.post(f"/auth/verification/confirm{slash}", json={"token": token})


def is_verified(client: httpx.Client, account: Account) -> bool:
    verified: bool = client.get("/users/me", headers=account.headers).json()["verified"]
    return verified


def test_the_link_of_the_sign_up_verifies_the_address(
    client: httpx.Client, account: Account, mailbox: Mailbox, slash: str
) -> None:
    assert not is_verified(client, account)
    [token] = mailed_tokens(mailbox, account.email, "verify")
    response = confirm(client, token, slash)
    assert (response.status_code, response.content) == (204, b"")
    assert is_verified(client, account)
    assert_detail(confirm(client, token, slash), 403)
    assert_detail(request_verification(client, account, slash), 409)


def test_another_link_can_be_requested(
    client: httpx.Client, account: Account, mailbox: Mailbox, slash: str
) -> None:
    response = request_verification(client, account, slash)
    assert response.status_code == 202
    assert response.json().keys() == {"message"}
    newer, older = mailed_tokens(mailbox, account.email, "verify")
    assert_detail(confirm(client, older), 403)
    assert confirm(client, newer).status_code == 204


def test_a_verification_requires_a_token_of_the_account(client: httpx.Client, deleted: Account) -> None:
    assert_unauthorized(client.post("/auth/verification"))
    assert_unauthorized(request_verification(client, deleted))


def test_a_day_has_a_limit_of_mails(client: httpx.Client, account: Account) -> None:
    statuses = [request_verification(client, account).status_code for _ in range(6)]
    assert statuses == [202] * 5 + [429]


@pytest.mark.parametrize("purpose", ["verify", "revert"])
def test_of_two_simultaneous_uses_of_a_link_one_succeeds(
    client: httpx.Client, account: Account, mailbox: Mailbox, purpose: str
) -> None:
    email = new_email()
    body = {"email": email, "current_password": PASSWORD}
    assert client.patch("/users/me", json=body, headers=account.headers).status_code == 200
    [token] = mailed_tokens(mailbox, email, "verify")
    if purpose == "revert":
        confirm(client, token)
        [token] = mailed_tokens(mailbox, account.email, "revert")
    assert concurrent_statuses(2, lambda _: confirm(client, token)) == [204, 403]


def test_the_old_address_can_revert_a_change(
    client: httpx.Client, account: Account, mailbox: Mailbox
) -> None:
    email = new_email()
    body = {"email": email, "current_password": PASSWORD}
    assert client.patch("/users/me", json=body, headers=account.headers).status_code == 200
    assert confirm(client, mailed_tokens(mailbox, email, "verify")[0]).status_code == 204
    [token] = mailed_tokens(mailbox, account.email, "revert")
    assert confirm(client, token).status_code == 204
    assert client.get(f"/users/{account.id}").json()["email"] == account.email
    assert_unauthorized(client.get("/users/me", headers=account.headers))
    assert_detail(log_in(client, account.email), 403)
    assert_detail(log_in(client, email), 403)
    assert_detail(confirm(client, token), 403)


@pytest.mark.parametrize("body", [{}, {"token": None}, {"token": "x" * 101}])
def test_an_invalid_token_is_rejected(client: httpx.Client, body: dict[str, str], slash: str) -> None:
    assert_invalid(client.post(f"/auth/verification/confirm{slash}", json=body), "body", "token")
