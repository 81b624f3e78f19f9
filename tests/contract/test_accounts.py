"""POST /users/, GET /users/{id} and POST /login."""

import base64
import json
from typing import Any

import httpx
import pytest

from tests.contract.client import (
    PASSWORD,
    Account,
    assert_detail,
    assert_invalid,
    assert_timestamp,
    new_email,
)


def test_sign_up(client: httpx.Client, slash: str) -> None:
    email = new_email()
    response = client.post(f"/users{slash}", json={"email": email, "password": PASSWORD})
    assert response.status_code == 201
    assert response.json().keys() == {"id", "email", "created_at"}
    assert response.json()["email"] == email
    assert_timestamp(response.json()["created_at"])


def test_sign_up_with_a_taken_address(client: httpx.Client, ada: Account, slash: str) -> None:
    for email in (ada.email, ada.email.upper()):
        assert_detail(client.post(f"/users{slash}", json={"email": email, "password": PASSWORD}), 409)


def test_a_multipart_login_in_any_script(client: httpx.Client) -> None:
    email, password = new_email(), "correct-лошадь-電池"
    assert client.post("/users", json={"email": email, "password": password}).status_code == 201
    form = {"username": (None, email), "password": (None, password)}
    assert client.post("/login", files=form).status_code == 200


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["email", "password"]),
        ({"email": "nobody", "password": PASSWORD}, ["email"]),
        ({"email": "nobody@example.com"}, ["password"]),
        ({"email": "nobody@example.com", "password": "p" * 73}, ["password"]),
        ({"email": "nobody@example.com", "password": "ä" * 37}, ["password"]),
        ({"email": "nobody@example.com", "password": "nul\0"}, ["password"]),
        ({"email": "nobody@example.com", "password": None}, ["password"]),
    ],
)
def test_an_invalid_sign_up(
    client: httpx.Client, body: dict[str, str], fields: list[str], slash: str
) -> None:
    response = client.post(f"/users{slash}", json=body)
    assert_invalid(response, "body", *fields)
    assert body.get("password") is None or body["password"] not in response.text


def test_read_a_user(client: httpx.Client, ada: Account, slash: str) -> None:
    response = client.get(f"/users/{ada.id}{slash}")
    assert response.status_code == 200
    assert response.json().keys() == {"id", "email", "created_at"}
    assert (response.json()["id"], response.json()["email"]) == (ada.id, ada.email)


def test_read_a_missing_user(client: httpx.Client, slash: str) -> None:
    assert_detail(client.get(f"/users/2147483647{slash}"), 404)


@pytest.mark.parametrize("user_id", ["ada", "2147483648", "1.5", "9" * 5_000, "%00", "%F0%9F%90%98"])
def test_read_a_user_with_an_invalid_id(client: httpx.Client, user_id: str, slash: str) -> None:
    assert_invalid(client.get(f"/users/{user_id}{slash}"), "path")


def payload(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def test_log_in(client: httpx.Client, ada: Account, slash: str) -> None:
    response = client.post(f"/login{slash}", data={"username": ada.email, "password": PASSWORD})
    assert response.status_code == 200
    assert response.json()["token_type"] == "bearer"
    assert payload(response.json()["access_token"])["user_id"] == ada.id
    assert response.headers["Cache-Control"] == "no-store"


def test_log_in_with_a_multipart_form(client: httpx.Client, ada: Account, slash: str) -> None:
    fields = {"username": (None, ada.email.upper()), "password": (None, PASSWORD)}
    assert client.post(f"/login{slash}", files=fields).status_code == 200


def test_log_in_with_wrong_credentials(client: httpx.Client, ada: Account, slash: str) -> None:
    for username, password in ((ada.email, "wrong"), (new_email(), PASSWORD)):
        response = client.post(f"/login{slash}", data={"username": username, "password": password})
        assert response.status_code == 403
        assert response.json() == {"detail": "Invalid Credentials"}


@pytest.mark.parametrize(
    ("form", "fields"),
    [({"username": "a"}, ["password"]), ({"password": "b"}, ["username"]), ({}, ["username", "password"])],
)
def test_log_in_with_a_missing_field(
    client: httpx.Client, form: dict[str, str], fields: list[str], slash: str
) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert_invalid(client.post(f"/login{slash}", data=form, headers=headers), "body", *fields)
