"""Text and times are stored and read correctly, whatever the defaults of the database are."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from common.database import ManagedConnection, Statement
from common.errors import UnavailableError
from common.settings import DatabaseSettings, parse_database_url
from tests.support.connections import run_sql
from tests.support.database import OTHER_DEFAULTS, Database


class Row(NamedTuple):
    """What a statement reads: the length of a text, the text, and a time."""

    length: int
    text: str
    time: datetime


SELECT: Statement[..., Row] = Statement(
    Row, "SELECT length($1::text), $1::text, $2::timestamptz", ("text", "time"), writes=False
)


@pytest.fixture
def settings(database: Database) -> Iterator[DatabaseSettings]:
    """Return the settings of a database of its own."""
    name = f"{database.value('SELECT current_database()')}_defaults"
    database.run(f"CREATE DATABASE {name}")
    url = urlsplit(database.url)._replace(path=f"/{name}").geturl()
    yield parse_database_url(url, local=True)
    database.run(f"DROP DATABASE {name} WITH (FORCE)")


def change_default(database: Database, settings: DatabaseSettings, setting: str, value: str) -> None:
    database.run(f"ALTER DATABASE {settings.name} SET {setting} = '{value}'")


def select(settings: DatabaseSettings) -> Row:
    connection = ManagedConnection(settings)
    try:
        [row] = connection.run(SELECT, ["é", "2026-02-01T10:00:00+00:00"])
    finally:
        connection.disconnect()
    return Row(*row)


@pytest.mark.parametrize(("setting", "value"), OTHER_DEFAULTS.items())
def test_a_local_run_does_not_depend_on_the_defaults_of_the_database(
    setting: str, value: str, settings: DatabaseSettings, database: Database
) -> None:
    change_default(database, settings, setting, value)
    row = select(settings)
    assert row == Row(1, "é", datetime(2026, 2, 1, 10, tzinfo=UTC))
    assert row.time.utcoffset() == UTC.utcoffset(None)


@pytest.mark.parametrize(("setting", "value"), OTHER_DEFAULTS.items())
def test_a_deployed_function_refuses_other_defaults_by_name(
    setting: str, value: str, settings: DatabaseSettings, database: Database
) -> None:
    deployed = settings._replace(local=False)
    assert select(deployed).text == "é"
    change_default(database, settings, setting, value)
    with pytest.raises(
        UnavailableError, match=rf"^the session has {setting} '{value}'.*: ALTER ROLE"
    ) as raised:
        select(deployed)
    assert not raised.value.retryable


@pytest.mark.parametrize(("setting", "value"), [("TimeZone", "Etc/UTC"), ("DateStyle", "ISO, DMY")])
def test_a_deployed_function_accepts_other_names_of_the_same_format(
    setting: str, value: str, settings: DatabaseSettings, database: Database
) -> None:
    change_default(database, settings, setting, value)
    assert select(settings._replace(local=False)).time == datetime(2026, 2, 1, 10, tzinfo=UTC)


def test_a_local_run_has_the_time_limits_of_the_role_on_aws(settings: DatabaseSettings) -> None:
    limits = {
        "statement_timeout": 2_500,
        "lock_timeout": 2_000,
        "idle_in_transaction_session_timeout": 10_000,
    }
    connection = ManagedConnection(settings)
    for name, milliseconds in limits.items():
        sql = f"SELECT setting::integer FROM pg_settings WHERE name = '{name}'"
        assert run_sql(connection, sql) == [[milliseconds]]
    connection.disconnect()


@pytest.mark.parametrize("local", [True, False])
def test_a_database_that_is_not_in_utf8_is_refused(*, local: bool, database: Database) -> None:
    name = f"{database.value('SELECT current_database()')}_ascii"
    database.run(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'"
    )
    url = urlsplit(database.url)._replace(path=f"/{name}").geturl()
    try:
        with pytest.raises(UnavailableError, match=rf"^the database {name} has the encoding SQL_ASCII"):
            select(parse_database_url(url, local=True)._replace(local=local))
    finally:
        database.run(f"DROP DATABASE {name} WITH (FORCE)")
