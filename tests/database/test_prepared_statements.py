"""The server plans a statement once for each connection, whatever is between the two."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from common.database import ManagedConnection, Statement
from tests.support.connections import run_sql
from tests.support.database import Database
from tests.support.postgres_proxy import PostgresProxy
from tests.support.statements import statements

ALL_MESSAGES = list("PBES")  # Parse, Bind, Execute, Sync
WITHOUT_PARSE = ALL_MESSAGES[1:]


class IdRow(NamedTuple):
    """The id of a user."""

    id: int


class PhoneRow(NamedTuple):
    """The phone number of a user."""

    phone_number: str


ADD_USER: Statement[..., IdRow] = Statement(
    IdRow,
    "INSERT INTO users (email, password) VALUES ($1::varchar, 'x') RETURNING id",
    ("email",),
    writes=True,
)
PHONES: Statement[[], PhoneRow] = Statement(PhoneRow, "SELECT phone_number FROM users", (), writes=False)

pytestmark = pytest.mark.usefixtures("connection")


def kinds(proxy: PostgresProxy) -> list[str]:
    return [message.kind for message in proxy.messages]


def test_only_the_first_run_of_a_statement_sends_and_plans_it(
    proxy: PostgresProxy, database: Database
) -> None:
    ADD_USER(email="ada@example.com")
    proxy.reset()
    ADD_USER(email="bob@example.com")
    assert (kinds(proxy), proxy.round_trips) == (WITHOUT_PARSE, 1)
    assert database.value("SELECT array_agg(email ORDER BY id) FROM users") == [
        "ada@example.com",
        "bob@example.com",
    ]


def test_one_plan_serves_all_values_from_the_first_run_on(connection: ManagedConnection) -> None:
    for number in range(8):
        ADD_USER(email=f"user{number}@example.com")
    plans = "SELECT generic_plans - custom_plans FROM pg_prepared_statements WHERE statement LIKE 'INSERT%'"
    assert run_sql(connection, plans) == [[8]]


def test_a_statement_that_failed_need_not_be_sent_again(proxy: PostgresProxy, database: Database) -> None:
    database.add_user("ada@example.com")
    with pytest.raises(Exception, match="duplicate key"):
        ADD_USER(email="ada@example.com")
    proxy.reset()
    ADD_USER(email="bob@example.com")
    assert (kinds(proxy), proxy.round_trips) == (WITHOUT_PARSE, 1)


def test_a_new_connection_prepares_its_statements(connection: ManagedConnection, database: Database) -> None:
    ADD_USER(email="ada@example.com")
    connection.disconnect()
    ADD_USER(email="bob@example.com")
    assert database.value("SELECT count(*) FROM users") == 2


# A pooler that knows nothing of prepared statements gives each statement any of its connections.
@pytest.mark.parametrize("other", ["has the statement", "does not have it"])
def test_a_statement_runs_once_when_it_gets_another_connection_to_the_server(
    other: str, connection: ManagedConnection, proxy: PostgresProxy, database: Database
) -> None:
    ADD_USER(email="ada@example.com")
    if other == "has the statement":
        prepare = proxy.messages[1]
        name = prepare.payload.split(b"\0")[0].decode()
        connection.disconnect()
        run_sql(connection, f'PREPARE "{name}" (varchar) AS SELECT 1')
    else:
        run_sql(connection, "DEALLOCATE ALL")
    proxy.reset()
    ADD_USER(email="bob@example.com")
    assert proxy.round_trips == 2
    proxy.reset()
    ADD_USER(email="eve@example.com")
    assert (kinds(proxy), proxy.round_trips) == (ALL_MESSAGES, 1)
    assert database.value("SELECT count(*) FROM users") == 3


def test_a_statement_survives_a_change_of_the_type_of_its_columns(database: Database) -> None:
    user_id = database.add_user()
    database.run("UPDATE users SET phone_number = '1' WHERE id = :id", id=user_id)
    assert PHONES() == [("1",)]
    database.run("ALTER TABLE users ALTER phone_number TYPE text")
    try:
        assert PHONES() == [("1",)]
    finally:
        database.run("ALTER TABLE users ALTER phone_number TYPE varchar")


def subqueries_of_in(sql: str) -> Iterator[str]:
    for match in re.finditer(r"\bIN \((?=SELECT\b)", sql):
        depth, end = 1, match.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(sql[end], 0)
            end += 1
        yield sql[match.end() : end]


# Some plans evaluate such a subquery for each row, with other rows each time. A CTE is evaluated once.
def test_no_statement_changes_rows_that_a_subquery_locks() -> None:
    found = {name: list(subqueries_of_in(each.sql)) for name, each in statements()}
    assert sum(map(len, found.values())) > 3
    assert not {name for name, each in found.items() if "FOR UPDATE" in "".join(each)}
