"""The tests are isolated from each other."""

import pytest

from common.database import ManagedConnection
from common.settings import database_settings
from tests.support.connections import run_sql
from tests.support.database import Database


@pytest.mark.parametrize("repetition", range(3))
def test_every_test_begins_with_empty_tables(repetition: int, database: Database) -> None:
    assert database.value("SELECT count(*) FROM users") == 0
    database.add_post(database.add_user(f"user{repetition}@example.com"))
    assert database.value("SELECT count(*) FROM posts") == 1


def test_the_functions_use_the_database_of_this_worker(database: Database) -> None:
    connection = ManagedConnection(database_settings())
    sql = "SELECT oid FROM pg_database WHERE datname = current_database()"
    oids = run_sql(connection, sql)
    connection.disconnect()
    assert oids == [[database.value(sql)]]


def test_a_user_and_a_post_have_different_ids(database: Database) -> None:
    ada = database.add_user()
    assert database.add_post(ada) != ada
