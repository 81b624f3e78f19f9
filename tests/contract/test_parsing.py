"""Requests are parsed as the reference parses them."""

import json

import httpx
import pytest

from tests.contract.client import PASSWORD, Account, assert_invalid, log_in, new_email, new_post


@pytest.mark.parametrize("field", ["username", "password"])
def test_a_file_where_text_belongs(client: httpx.Client, ada: Account, field: str) -> None:
    form = {"username": ada.email, "password": PASSWORD}
    content = form.pop(field)
    assert_invalid(client.post("/login", data=form, files={field: content.encode()}), "body", field)


@pytest.mark.parametrize("path", ["/users", "/auth/refresh"])
def test_a_form_where_json_belongs(client: httpx.Client, path: str) -> None:
    form = {"email": new_email(), "password": PASSWORD, "refresh_token": "t"}
    assert_invalid(client.post(path, data=form), "body")
    assert_invalid(client.post(path, data=form, files={"email": b"f"}), "body")


def test_json_cannot_log_in(client: httpx.Client, ada: Account) -> None:
    response = client.post("/login", json={"username": ada.email, "password": PASSWORD})
    assert_invalid(response, "body", "username", "password")


@pytest.mark.parametrize(("grant_type", "status"), [("password", 200), ("", 200), ("implicit", 422)])
def test_a_grant_type(client: httpx.Client, ada: Account, grant_type: str, status: int) -> None:
    form = {"username": ada.email, "password": PASSWORD, "grant_type": grant_type}
    assert client.post("/login", data=form).status_code == status


@pytest.mark.parametrize("field", ["username", "password"])
def test_an_empty_login_field(client: httpx.Client, ada: Account, field: str) -> None:
    form = {"username": ada.email, "password": PASSWORD, field: ""}
    assert_invalid(client.post("/login", data=form), "body", field)


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/vnd.api+json", "application/ld+json"]
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_json_of_any_media_type_and_with_a_byte_order_mark(
    client: httpx.Client, ada: Account, content_type: str, mark: bytes
) -> None:
    body = mark + json.dumps({"title": "é", "content": "c"}, ensure_ascii=False).encode()
    headers = ada.headers | {"Content-Type": content_type}
    response = client.post("/posts", content=body, headers=headers)
    assert response.status_code == 201
    assert response.json()["title"] == "é"


def test_blanks_around_an_address(client: httpx.Client) -> None:
    email = new_email()
    signed_up = client.post("/users", json={"email": f" {email}\n", "password": PASSWORD})
    assert signed_up.json()["email"] == email
    assert log_in(client, f"\t{email} ").status_code == 200


@pytest.mark.parametrize("query", ["limit=100&limit=1", "Limit=1", "Limit=100&limit=1"])
def test_the_last_limit_in_any_spelling(client: httpx.Client, ada: Account, query: str) -> None:
    for _ in range(2):
        new_post(client, ada)
    response = client.get(f"/posts?{query}", headers=ada.headers)
    assert len(response.json()) == 1


def test_a_multipart_form_as_an_old_client_writes_it(client: httpx.Client, ada: Account) -> None:
    fields = {"username": ada.email, "password": PASSWORD}
    parts = [
        f"--edge\r\ncontent-disposition: form-data; name={name}\r\n\r\n{value}\r\n"
        for name, value in fields.items()
    ]
    headers = {"Content-Type": "multipart/form-data; Boundary=edge"}
    response = client.post("/login", content="".join(parts) + "--edge--\r\n", headers=headers)
    assert response.status_code == 200


def test_an_encoded_path(client: httpx.Client, ada: Account) -> None:
    post_id = new_post(client, ada)["id"]
    encoded = "".join(f"%{ord(digit):x}" for digit in str(post_id))
    assert client.get(f"/posts/{encoded}", headers=ada.headers).json()["id"] == post_id
    assert client.get(f"/%70osts/{encoded}/", headers=ada.headers).json()["id"] == post_id
    assert_invalid(client.get(f"/posts/{post_id}%2F", headers=ada.headers), "path", "post_id")
    assert client.get("/users/%6De", headers=ada.headers).json()["email"] == ada.email
