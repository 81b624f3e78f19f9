"""POST /login."""

import base64
import json
from urllib.parse import urlencode

import bcrypt
import jwt
import pytest

import auth.handler
from common.aws import AwsError
from common.keys import Key, KeyRing
from common.tokens import verify
from tests.support.database import PASSWORD, Database
from tests.support.lambdas import Response, call, invoke, new_event


def log_in(username: str, password: str) -> Response:
    return call("login", body=urlencode({"username": username, "password": password}))


def part(name: str, value: str) -> str:
    return f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'


def send_multipart(body: bytes, content_type: str = "multipart/form-data; boundary=edge") -> Response:
    event = new_event("login", body=base64.b64encode(body).decode(), headers={"Content-Type": content_type})
    return invoke(event | {"isBase64Encoded": True})


def test_the_token_names_the_user_as_in_the_reference_and_the_authorizer_lets_it_in(ada: int) -> None:
    response = log_in("ada@example.com", PASSWORD)
    assert response.status == 200
    assert response.json()["token_type"] == "bearer"
    token = response.json()["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["user_id"] == ada
    assert verify(token, KeyRing()).user_id == ada


@pytest.mark.usefixtures("ada")
def test_the_token_lifetime_is_that_of_the_settings() -> None:
    token = log_in("ada@example.com", PASSWORD).json()["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 1800


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize("username", ["ADA@example.com", "Ada@EXAMPLE.com"])
def test_the_address_is_found_in_any_letter_case(username: str) -> None:
    assert log_in(username, PASSWORD).status == 200


@pytest.mark.parametrize(
    ("signed_up", "typed"),
    [
        ("zo\u00eb@example.com", "zoe\u0308@example.com"),  # composed and decomposed
        ("zoe\u0308@example.com", "zo\u00eb@example.com"),
        ("zoe\u0308@example.com", "ZOE\u0308@example.com"),
        ("ada@b\u00fccher.example", "ada@xn--bcher-kva.example"),
        ("ada@xn--bcher-kva.example", "ada@b\u00fccher.example"),
        ("ada@\ufb01.example", "ada@\ufb01.example"),  # a ligature
        ("ada@\ufb01.example", "ada@fi.example"),
    ],
)
@pytest.mark.usefixtures("_cheap_hashes")
def test_the_address_is_found_in_any_of_its_forms(signed_up: str, typed: str) -> None:
    assert call("sign_up", body={"email": signed_up, "password": PASSWORD}).status == 201
    assert call("sign_up", body={"email": typed, "password": PASSWORD}).status == 409
    assert log_in(typed, PASSWORD).status == 200


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("ada@example.com", "wrong"),
        ("ada@example.com", " "),
        ("ada@example.com", PASSWORD + " "),
        ("nobody@example.com", PASSWORD),
        (" ", " "),
        ("zo\u00eb", PASSWORD),
        ("\u00eb" * 242 + "@example.com", PASSWORD),
        ("' OR true --", PASSWORD),
        ("%", PASSWORD),
    ],
)
def test_an_unknown_address_gets_the_response_of_a_wrong_password(username: str, password: str) -> None:
    response = log_in(username, password)
    assert response.status == 403
    assert response.json() == {"detail": "Invalid Credentials"}


@pytest.mark.parametrize(
    ("typed", "checked"),
    [
        ("wrong", ["wrong"]),
        ("zo\u00eb", ["zo\u00eb"]),
        ("zoe\u0308", ["zo\u00eb", "zoe\u0308"]),
        ("\u1100\u1161", ["\uac00", "\u1100\u1161"]),
    ],
)
def test_an_unknown_address_costs_as_many_bcrypt_rounds_as_a_known_one(
    typed: str, checked: list[str], ada: int, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.run(
        "UPDATE users SET password = :hashed WHERE id = :ada",
        hashed="$2b$12$" + "." * 53,
        ada=ada,
    )
    costs = []

    def count(password: bytes, hashed: bytes) -> bool:
        costs.append((password.decode(), hashed[:7]))
        return False

    monkeypatch.setattr(bcrypt, "checkpw", count)
    for email in ("ada@example.com", "nobody@example.com"):
        assert log_in(email, typed).status == 403
        assert costs == [(form, b"$2b$12$") for form in checked]
        costs.clear()


@pytest.mark.usefixtures("_cheap_hashes")
def test_a_password_may_be_typed_with_composed_or_decomposed_letters() -> None:
    composed, decomposed = "pass zo\u00eb", "pass zoe\u0308"
    for email, password in (("ann@example.com", composed), ("bea@example.com", decomposed)):
        assert call("sign_up", body={"email": email, "password": password}).status == 201
        assert log_in(email, composed).status == 200
        assert log_in(email, decomposed).status == 200


def test_a_password_longer_than_72_bytes_does_not_match_its_beginning(database: Database) -> None:
    ada = database.add_user()
    hashed = bcrypt.hashpw(b"p" * 72, bcrypt.gensalt(4)).decode()
    database.run("UPDATE users SET password = :hashed WHERE id = :ada", hashed=hashed, ada=ada)
    assert log_in("ada@example.com", "p" * 72).status == 200
    assert log_in("ada@example.com", "p" * 73).status == 403
    assert log_in("ada@example.com", "p" * 1_000).status == 403
    assert log_in("ada@example.com", "p" * 1_001).status == 422


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        ("username=ada%40example.com", ["password"]),
        ("password=correct+horse", ["username"]),
        ("grant_type=password", ["username", "password"]),
        ("", ["username", "password"]),
        ("username=&password=correct+horse", ["username"]),
        ("username=ada%40example.com&password=", ["password"]),
        ("username=&password=", ["username", "password"]),
        ("username=ada%40example.com&password=correct+horse&password=", ["password"]),
    ],
)
def test_every_missing_or_empty_field_is_named(body: str, missing: list[str]) -> None:
    response = call("login", body=body)
    assert response.status == 422
    assert [error["loc"] for error in response.json()["detail"]] == [["body", field] for field in missing]


@pytest.mark.parametrize("body", ["username=a%00&password=b", "username=a&password=b%00"])
def test_a_nul_character_is_invalid(body: str) -> None:
    assert call("login", body=body).status == 422


@pytest.mark.usefixtures("ada")
def test_credentials_that_are_not_utf_8_are_rejected() -> None:
    assert call("login", body="username=ada%40example.com&password=%FF%FE").status == 403


@pytest.mark.usefixtures("ada")
def test_a_browser_may_send_its_form_as_multipart() -> None:
    # template.yaml declares multipart forms as binary, so the gateway sends them as base64.
    body = part("username", "ada@example.com") + part("password", PASSWORD) + "--edge--\r\n"
    assert send_multipart(body.encode()).status == 200


def test_a_multipart_form_may_come_as_text(database: Database) -> None:
    hashed = bcrypt.hashpw("лошадь 電池".encode(), bcrypt.gensalt(4)).decode()
    database.run(
        "UPDATE users SET password = :hashed WHERE id = :user_id",
        hashed=hashed,
        user_id=database.add_user("ann@example.com"),
    )
    body = part("username", "ann@example.com") + part("password", "лошадь 電池") + "--edge--\r\n"
    event = new_event("login", body=body, headers={"Content-Type": "Multipart/Form-Data; boundary=edge"})
    assert invoke(event | {"isBase64Encoded": False}).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--edge--",
        b"no part at all",
        part("username", "ada@example.com").encode() + b"--edge--\r\n",
        b'--edge\r\nContent-Disposition: form-data; name="username"\r\n\r\n\xff\r\n--edge--\r\n',
        b'--edge\r\nContent-Disposition: form-data; name="username"; filename="a"\r\n\r\nada\r\n--edge--\r\n',
    ],
)
def test_a_broken_multipart_form_is_invalid(body: bytes) -> None:
    response = send_multipart(body)
    assert response.status == 422
    assert response.json()["detail"][0]["loc"][0] == "body"


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    "content_type", ["multipart/form-data; Boundary=edge", 'MULTIPART/form-data;BOUNDARY="edge"']
)
@pytest.mark.parametrize("quote", ['"', ""])
def test_a_multipart_form_may_be_written_in_several_ways(content_type: str, quote: str) -> None:
    body = part("username", "ada@example.com") + part("password", PASSWORD) + "--edge--\r\n"
    for field in ("username", "password"):
        body = body.replace(f'name="{field}"', f"name={quote}{field}{quote}")
    assert send_multipart(body.encode(), content_type).status == 200


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize("field", ["username", "password"])
@pytest.mark.parametrize("content", [b"ada@example.com", b"correct horse", b"", b"\xff\xfe\0"])
def test_a_file_where_text_belongs_is_invalid(field: str, content: bytes) -> None:
    text = part("username", "ada@example.com") + part("password", PASSWORD)
    file = part(field, "#").replace(f'"{field}"', f'"{field}"; filename="f"').encode().replace(b"#", content)
    response = send_multipart(text.encode() + file + b"--edge--\r\n")
    assert response.status == 422
    assert [error["loc"] for error in response.json()["detail"]] == [["body", field]]


@pytest.mark.usefixtures("ada")
def test_a_file_in_an_unknown_field_is_ignored() -> None:
    text = part("username", "ada@example.com") + part("password", PASSWORD)
    file = part("more", "#").replace('"more"', '"more"; filename="f"').encode().replace(b"#", b"\xff\0")
    assert send_multipart(text.encode() + file + b"--edge--\r\n").status == 200


@pytest.mark.usefixtures("ada")
def test_the_last_of_several_fields_counts() -> None:
    fields = [("username", "x"), ("username", "ada@example.com"), ("password", "x"), ("password", PASSWORD)]
    assert call("login", body=urlencode(fields)).status == 200
    body = "".join(part(*field) for field in fields) + "--edge--\r\n"
    assert send_multipart(body.encode()).status == 200
    assert call("login", body=urlencode(fields[::-1])).status == 403


@pytest.mark.parametrize("body", ["&a=" * 1_001, "a=b&" * 5_000])
def test_a_form_with_too_many_fields_is_invalid(body: str) -> None:
    response = call("login", body=body)
    assert response.status == 422
    assert response.json()["detail"][0]["type"] == "form_invalid"


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    ("grant_type", "status"),
    [
        ("password", 200),
        ("", 200),
        ("implicit", 422),
        ("authorization_code", 422),
        ("Password", 422),
        (" ", 422),
    ],
)
def test_only_the_grant_type_password_is_valid(grant_type: str, status: int) -> None:
    fields = {"username": "ada@example.com", "password": PASSWORD, "grant_type": grant_type}
    response = call("login", body=urlencode(fields))
    assert response.status == status
    if status == 422:
        assert [error["loc"] for error in response.json()["detail"]] == [["body", "grant_type"]]


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize("content_type", ["application/json", "application/vnd.api+json", "text/plain", None])
def test_a_body_other_than_a_form_cannot_log_in(content_type: str | None) -> None:
    credentials = {"username": "ada@example.com", "password": PASSWORD}
    for body in (json.dumps(credentials), urlencode(credentials)):
        response = call("login", body=body, headers={"Content-Type": content_type})
        assert response.status == 422
        assert [error["loc"][1] for error in response.json()["detail"]] == ["username", "password"]


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize("username", [" ada@example.com", "ADA@example.com\n", "\u3000ada@example.com\t"])
def test_blanks_around_the_address_are_ignored(username: str) -> None:
    assert log_in(username, PASSWORD).status == 200


def test_a_multipart_form_without_a_boundary_is_invalid() -> None:
    response = send_multipart(b"--edge--", content_type="multipart/form-data")
    assert response.status == 422
    assert response.json() == {
        "detail": [{"type": "form_invalid", "loc": ["body"], "msg": "Form decode error"}]
    }


def test_without_a_signing_key_nothing_is_written(
    ada: int, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ada
    token = log_in("ada@example.com", PASSWORD).json()["refresh_token"]
    tables = ("sessions", "refresh_tokens WHERE used_at IS NOT NULL", "login_failures")
    before = [database.value(f"SELECT count(*) FROM {table}") for table in tables]

    def signing_key() -> Key:
        raise AwsError("ThrottlingException")

    monkeypatch.setattr(auth.handler.ring, "signing_key", signing_key)
    for response in (log_in("ada@example.com", PASSWORD), call("refresh", body={"refresh_token": token})):
        assert response.status == 503
        assert response.headers["Retry-After"] == ["1"]
        assert response.json() == {"detail": "Unavailable, nothing was changed"}
    assert [database.value(f"SELECT count(*) FROM {table}") for table in tables] == before
