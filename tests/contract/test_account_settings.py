"""/users/me: users read, change and delete their own account."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from local.mail import Mailbox
from tests.contract.client import (
    PASSWORD,
    Account,
    assert_detail,
    assert_invalid,
    assert_timestamp,
    assert_unauthorized,
    concurrent_statuses,
    log_in,
    mailed_tokens,
    new_account,
    new_email,
    new_post,
    refresh,
    send_concurrently,
    vote,
)

NEW_PASSWORD = "battery-staple-S3cret"
# A body with which each succeeds once the current password is added.
CHANGES = [
    ("PATCH", "/users/me", {"email": "never@example.com"}),
    ("PUT", "/users/me/password", {"new_password": NEW_PASSWORD}),
    ("DELETE", "/users/me", {}),
]


def change(client: httpx.Client, account: Account, **fields: object) -> httpx.Response:
    return client.patch("/users/me", json=fields, headers=account.headers)


def confirm(client: httpx.Client, token: str) -> httpx.Response:
    return client.post("/auth/verification/confirm", json={"token": token})


def change_password(
    client: httpx.Client, account: Account, new: object = NEW_PASSWORD, current: object = PASSWORD
) -> httpx.Response:
    body = {"current_password": current, "new_password": new}
    return client.put("/users/me/password", json=body, headers=account.headers)


def delete_account(client: httpx.Client, account: Account, slash: str = "") -> httpx.Response:
    body = {"current_password": PASSWORD}
    return client.request("DELETE", f"/users/me{slash}", json=body, headers=account.headers)


@pytest.fixture
def account(client: httpx.Client) -> Account:
    """Return an account that the test may change."""
    return new_account(client)


@pytest.mark.parametrize(("method", "path", "body"), [("GET", "/users/me", {}), *CHANGES])
def test_account_routes_require_a_token(
    client: httpx.Client, method: str, path: str, body: dict[str, str], slash: str
) -> None:
    body = {"current_password": PASSWORD, **body}
    assert_unauthorized(client.request(method, f"{path}{slash}", json=body))


def test_read_the_own_account(client: httpx.Client, ada: Account, slash: str) -> None:
    response = client.get(f"/users/me{slash}", headers=ada.headers)
    assert response.status_code == 200
    assert response.json().keys() == {
        "id",
        "email",
        "created_at",
        "phone_number",
        "verified",
        "pending_email",
    }
    assert (response.json()["id"], response.json()["email"]) == (ada.id, ada.email)
    assert_timestamp(response.json()["created_at"])


def test_a_phone_number_is_changed_kept_removed_and_private(
    client: httpx.Client, account: Account, slash: str
) -> None:
    for fields, number in (
        ({"phone_number": "+49 30 1"}, "+49 30 1"),
        ({}, "+49 30 1"),
        ({"phone_number": None}, None),
        ({"phone_number": "📞 7"}, "📞 7"),
    ):
        response = client.patch(f"/users/me{slash}", json=fields, headers=account.headers)
        assert response.status_code == 200, response.text
        assert response.json()["phone_number"] == number
        assert client.get("/users/me", headers=account.headers).json() == response.json()
    assert "phone_number" not in client.get(f"/users/{account.id}").json()


def test_a_new_e_mail_logs_in_when_it_is_confirmed(
    client: httpx.Client, account: Account, mailbox: Mailbox
) -> None:
    email = new_email()
    response = change(client, account, email=email, current_password=PASSWORD)
    assert response.status_code == 200
    assert (response.json()["email"], response.json()["pending_email"]) == (account.email, email)
    assert response.json() == client.get("/users/me", headers=account.headers).json()
    assert_detail(log_in(client, email), 403)
    assert confirm(client, mailed_tokens(mailbox, email, "verify")[0]).status_code == 204
    assert client.get(f"/users/{account.id}").json()["email"] == email
    assert log_in(client, email.upper()).status_code == 200
    assert_detail(log_in(client, account.email), 403)
    # The change can be reverted for a day.
    assert_detail(client.post("/users", json={"email": account.email, "password": PASSWORD}), 409)


def test_the_e_mail_of_another_user_is_taken(client: httpx.Client, ada: Account, account: Account) -> None:
    for email in (ada.email, ada.email.upper()):
        assert_detail(change(client, account, email=email, current_password=PASSWORD), 409)
    assert client.get("/users/me", headers=account.headers).json()["email"] == account.email


@pytest.mark.parametrize(
    ("method", "path", "body", "fields"),
    [
        ("PATCH", "/users/me", {"email": "new@example.com"}, []),
        ("PATCH", "/users/me", {"email": "nobody", "current_password": PASSWORD}, ["email"]),
        ("PATCH", "/users/me", {"phone_number": "1" * 51}, ["phone_number"]),
        ("PATCH", "/users/me", {"phone_number": "nul\0"}, ["phone_number"]),
        ("PATCH", "/users/me", {"phone_number": 7}, ["phone_number"]),
        ("PUT", "/users/me/password", {}, ["current_password", "new_password"]),
        ("PUT", "/users/me/password", {"current_password": PASSWORD, "new_password": ""}, ["new_password"]),
        (
            *("PUT", "/users/me/password"),
            {"current_password": PASSWORD, "new_password": "ä" * 37},
            ["new_password"],
        ),
        ("DELETE", "/users/me", {}, ["current_password"]),
        ("DELETE", "/users/me", {"current_password": None}, ["current_password"]),
    ],
)
def test_an_invalid_change(
    client: httpx.Client,
    ada: Account,
    method: str,
    path: str,
    body: dict[str, object],
    fields: list[str],
    slash: str,
) -> None:
    response = client.request(method, f"{path}{slash}", json=body, headers=ada.headers)
    assert_invalid(response, "body", *fields)
    assert PASSWORD not in response.text
    assert client.get("/users/me", headers=ada.headers).json()["email"] == ada.email


def test_a_new_password_logs_in_and_ends_all_other_sessions(
    client: httpx.Client, account: Account, slash: str
) -> None:
    other, own = log_in(client, account.email).json(), log_in(client, account.email).json()
    response = client.put(
        f"/users/me/password{slash}",
        json={"current_password": PASSWORD, "new_password": NEW_PASSWORD},
        headers={"Authorization": f"Bearer {own['access_token']}"},
    )
    assert (response.status_code, response.content) == (204, b"")
    assert_detail(log_in(client, account.email), 403)
    assert log_in(client, account.email, NEW_PASSWORD).status_code == 200
    assert_unauthorized(refresh(client, other["refresh_token"]))
    assert refresh(client, own["refresh_token"]).status_code == 200


def test_a_deleted_account_disappears_with_its_posts_and_votes(
    client: httpx.Client, ada: Account, account: Account, slash: str
) -> None:
    tokens = log_in(client, account.email).json()
    theirs, other = new_post(client, account), new_post(client, ada, title=new_email())
    assert vote(client, account, other["id"]).status_code == 201
    assert vote(client, ada, theirs["id"]).status_code == 201

    response = delete_account(client, account, slash)
    assert (response.status_code, response.content) == (204, b"")
    assert_unauthorized(client.get("/users/me", headers=account.headers))
    assert_unauthorized(refresh(client, tokens["refresh_token"]))
    assert_unauthorized(delete_account(client, account))
    assert_detail(log_in(client, account.email), 403)
    assert_detail(client.get(f"/users/{account.id}"), 404)
    assert_detail(client.get(f"/posts/{theirs['id']}", headers=ada.headers), 404)
    found = client.get("/posts", params={"search": other["title"]}, headers=ada.headers).json()
    # The vote counts until maintenance removes its row.
    assert found == [{"Post": other, "vote": 1}]
    assert client.post("/users", json={"email": account.email, "password": PASSWORD}).status_code == 201


def test_wrong_current_passwords_change_nothing_and_are_rate_limited(
    client: httpx.Client, account: Account
) -> None:
    def guess(index: int) -> httpx.Response:
        method, path, body = CHANGES[index % 3]
        guessed = {"current_password": f"guess {index}", **body}
        return client.request(method, path, json=guessed, headers=account.headers)

    # Twenty attempts have no delay. Thirty could only succeed if they took more than a minute.
    with ThreadPoolExecutor(15) as pool:
        responses = list(pool.map(guess, range(30)))
    assert sorted({response.status_code for response in responses}) == [403, 429]
    for response in responses:
        assert_detail(response, response.status_code)
        assert response.status_code == 403 or int(response.headers["Retry-After"]) >= 1
    assert [response.status_code for response in responses].count(403) >= 20
    assert client.get("/users/me", headers=account.headers).json()["email"] == account.email


def test_of_two_concurrent_changes_to_one_e_mail_one_succeeds(client: httpx.Client, mailbox: Mailbox) -> None:
    email = new_email()
    for account in (new_account(client), new_account(client)):
        assert change(client, account, email=email, current_password=PASSWORD).status_code == 200
    tokens = mailed_tokens(mailbox, email, "verify")
    assert len(tokens) == 2

    def want(index: int) -> httpx.Response:
        if index < 2:
            return confirm(client, tokens[index])
        return client.post("/users", json={"email": email.upper(), "password": PASSWORD})

    statuses = concurrent_statuses(3, want)
    assert statuses in ([204, 409, 409], [201, 409, 409])


def test_of_concurrent_changes_of_a_phone_number_one_stays(client: httpx.Client, account: Account) -> None:
    responses = send_concurrently(10, lambda index: change(client, account, phone_number=str(index)))
    assert [response.json()["phone_number"] for response in responses] == [str(index) for index in range(10)]
    assert client.get("/users/me", headers=account.headers).json() in [
        response.json() for response in responses
    ]


def test_of_two_concurrent_new_passwords_one_is_the_password(client: httpx.Client, account: Account) -> None:
    passwords = ["first-S3cret", "second-S3cret"]
    responses = send_concurrently(2, lambda index: change_password(client, account, passwords[index]))
    statuses = [response.status_code for response in responses]
    assert sorted(statuses) == [204, 403]
    for password, status in zip(passwords, statuses, strict=True):
        assert log_in(client, account.email, password).status_code == (200 if status == 204 else 403)


def test_an_account_is_deleted_once_during_its_own_writes_and_votes(
    client: httpx.Client, ada: Account, account: Account
) -> None:
    post = new_post(client, ada, title=new_email())
    start, end = threading.Barrier(4), threading.Event()

    def write(_: int) -> tuple[set[int], list[int]]:
        start.wait()
        written, voted = set(), []
        while not end.is_set():
            response = client.post("/posts", json={"title": "t", "content": "c"}, headers=account.headers)
            written.add(response.status_code)
            voted.append(vote(client, account, post["id"]).status_code)
        return written, voted

    def go(_: int) -> int:
        start.wait()
        return delete_account(client, account).status_code

    with ThreadPoolExecutor(4) as pool:
        writing, going = pool.map(write, range(2)), pool.map(go, range(2))
        gone = sorted(going)
        end.set()
        assert gone == [204, 401]
    statuses = list(writing)
    assert all(written | set(voted) <= {201, 401, 409} for written, voted in statuses)
    assert_unauthorized(client.get("/users/me", headers=account.headers))
    found = client.get("/posts", params={"search": post["title"]}, headers=ada.headers).json()
    # A vote from before the deletion counts until maintenance removes it.
    votes = sum(voted.count(201) for _, voted in statuses)
    assert votes <= 1
    assert found == [{"Post": post, "vote": votes}]
