"""GET /users/{id}."""

import pytest

from tests.support.database import Database
from tests.support.lambdas import call


def test_anyone_may_know_the_address_and_the_age_of_an_account(ada: int, database: Database) -> None:
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
def test_a_user_who_is_not_there_is_not_found(user_id: int) -> None:
    response = call("read_user", item=user_id)
    assert response.status == 404
    assert response.json() == {"detail": "There is no such user"}


@pytest.mark.parametrize(
    "user_id",
    # A REST API hands paths on as they were sent. Others, `sam local` among them, decode them first.
    [2**31, -(2**31) - 1, "9" * 5_000, "ada", "1.5", "1e3", "0x1", "%00", "\0", "1\n", "1?", "①", "🐘", "%"],
)
def test_what_is_not_an_integer_of_postgresql_is_invalid(user_id: object) -> None:
    response = call("read_user", item=user_id)
    assert response.status == 422
    [error] = response.json()["detail"]
    assert error["loc"][0] == "path"
