"""GET /users/{id}."""

import pytest

from tests.support.database import Database
from tests.support.lambdas import call


def test_anyone_can_read_the_public_fields_of_a_user(ada: int, database: Database) -> None:
    database.run("UPDATE users SET phone_number = '+49 30 901820'")
    response = call("read_user", item=ada)
    created_at = database.value("SELECT created_at FROM users")
    assert response.status == 200
    assert response.json() == {
        "id": ada,
        "email": "ada@example.com",
        "created_at": created_at.isoformat().replace("+00:00", "Z"),
    }


@pytest.mark.parametrize("user_id", [0, -1, 2**31 - 1, -(2**31)])
def test_a_missing_user_is_not_found(user_id: int) -> None:
    response = call("read_user", item=user_id)
    assert response.status == 404
    assert response.json() == {"detail": "There is no such user"}


@pytest.mark.parametrize(
    "user_id",
    # A REST API passes paths on as they were sent. Some emulators, such as `sam local`, decode them first.
    [2**31, -(2**31) - 1, "9" * 5_000, "ada", "1.5", "1e3", "0x1", "%00", "\0", "1?", "①", "🐘", "%"],
)
def test_an_id_outside_postgresql_s_integer_is_invalid(user_id: object) -> None:
    response = call("read_user", item=user_id)
    assert response.status == 422
    [error] = response.json()["detail"]
    assert error["loc"][0] == "path"
