"""POST /users/."""

from datetime import datetime

import bcrypt
import pytest

from tests.support.database import Database
from tests.support.lambdas import call

pytestmark = pytest.mark.usefixtures("_cheap_hashes")


def test_the_response_to_a_sign_up_has_no_password() -> None:
    response = call("sign_up", body={"email": "ada@example.com", "password": "correct horse"})
    assert response.status == 201
    assert response.json().keys() == {"id", "email", "created_at"}
    assert response.json()["email"] == "ada@example.com"
    assert datetime.fromisoformat(response.json()["created_at"]).utcoffset() is not None


def test_the_password_is_stored_as_a_bcrypt_hash(database: Database) -> None:
    call("sign_up", body={"email": "ada@example.com", "password": "correct horse"})
    hashed = database.value("SELECT password FROM users")
    assert bcrypt.checkpw(b"correct horse", hashed.encode())


@pytest.mark.parametrize("email", ["ada@example.com", "ADA@EXAMPLE.COM", "Ada@Example.Com"])
def test_an_address_is_taken_in_any_letter_case(email: str, database: Database) -> None:
    database.add_user("ada@example.com")
    response = call("sign_up", body={"email": email, "password": "correct horse"})
    assert response.status == 409
    assert response.json() == {"detail": "A user with this e-mail exists already"}
    assert database.value("SELECT count(*) FROM users") == 1


@pytest.mark.parametrize("email", [" ada@example.com", "ada@example.com\r\n", "\u3000ada@example.com\t"])
def test_blanks_around_an_address_are_not_stored(email: str, database: Database) -> None:
    response = call("sign_up", body={"email": email, "password": "correct horse"})
    assert response.status == 201
    assert response.json()["email"] == database.value("SELECT email FROM users") == "ada@example.com"


def test_unknown_fields_change_nothing(database: Database) -> None:
    body = {
        "email": "ada@example.com",
        "password": "correct horse",
        "id": 7_000_000,
        "created_at": "1999-01-01T00:00:00Z",
        "phone_number": "123",
        "admin": True,
    }
    response = call("sign_up", body=body)
    assert response.status == 201
    [[user_id, created_at, phone_number]] = database.run("SELECT id, created_at, phone_number FROM users")
    assert user_id == response.json()["id"] != 7_000_000
    assert created_at.year != 1999
    assert phone_number is None


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "ada@",
        "@example.com",
        "ada@example",
        "ada @example.com",
        "ada@example.com\0",
        "ada@exam\nple.com",
        "ada@" + "e" * 300 + ".com",
        "ada@example.com, bob@example.com",
        None,
        7,
        ["ada@example.com"],
    ],
)
def test_anything_but_an_address_is_invalid(email: object) -> None:
    response = call("sign_up", body={"email": email, "password": "correct horse"})
    assert response.status == 422
    assert [error["loc"] for error in response.json()["detail"]] == [["body", "email"]]


@pytest.mark.parametrize("password", ["p" * 72, "ä" * 36, "🔑" * 18])
def test_a_password_of_72_bytes_is_valid(password: str) -> None:
    assert call("sign_up", body={"email": "ada@example.com", "password": password}).status == 201


@pytest.mark.parametrize(
    "password",
    [
        "",
        "p" * 73,
        "ä" * 36 + "p",
        "🔑" * 18 + "p",
        "\ufdfa" * 3,  # 9 bytes, and 99 in the form NFKC
        "e\u0308" * 25,  # 75 bytes, and 50 in the form NFKC
        "nul\0",
        None,
        7,
    ],
)
def test_an_empty_or_too_long_password_is_invalid_and_not_echoed(password: object) -> None:
    response = call("sign_up", body={"email": "ada@example.com", "password": password})
    assert response.status == 422
    [error] = response.json()["detail"]
    assert error.keys() == {"type", "loc", "msg"}
    assert error["loc"] == ["body", "password"]
    assert not password or str(password) not in error["msg"]


def test_every_missing_field_is_named() -> None:
    response = call("sign_up", body={})
    assert response.status == 422
    assert [error["loc"] for error in response.json()["detail"]] == [["body", "email"], ["body", "password"]]
