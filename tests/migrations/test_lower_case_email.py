"""The lower case of addresses: made by Python, whatever the locale of the database is."""

from collections.abc import Iterator

import pytest

from migrations.runner import MigrationError
from tests.migrations.commands import upgrade
from tests.support.database import LOCALE_C, Database

BEFORE = "20261126d"
LOWER_CASE = "SELECT email, lower_case_email FROM users ORDER BY id"


def sign_up(database: Database, *emails: str) -> None:
    """Add users as release 1.0 does."""
    for email in emails:
        database.run("INSERT INTO users (email, password) VALUES (:email, 'hash')", email=email)


@pytest.fixture
def before(worker_database: Database) -> Iterator[Database]:
    """Return a database with the locale C, at the revision before these."""
    with worker_database.new_database(LOCALE_C) as url:
        upgrade(url, BEFORE)
        with Database(url) as database:
            yield database


def test_older_addresses_get_the_lower_case_of_python(before: Database) -> None:
    sign_up(before, "Ada@Example.com", "ÉVA@example.com", "ΣΟΦΙΑ@example.com", "deleted 7")
    upgrade(before.url, "head")
    assert [lower for _, lower in before.run(LOWER_CASE)] == [
        "ada@example.com",
        "éva@example.com",
        "σοφια@example.com",
        "deleted 7",
    ]


def test_thousands_of_addresses_are_changed_in_batches(before: Database) -> None:
    before.run(
        "INSERT INTO users (email, password)"
        " SELECT 'É' || number || '@example.com', 'hash' FROM generate_series(1, 5000) AS number"
    )
    upgrade(before.url, "head")
    assert before.value("SELECT count(*) FROM users WHERE starts_with(lower_case_email, 'é')") == 5_000


def test_accounts_that_conflict_are_listed_and_nothing_else_changes(before: Database) -> None:
    sign_up(
        before, "ÉVA@example.com", "ada@example.com", "éva@example.com", "ÖS@example.com", "ös@example.com"
    )
    for _ in range(2):
        with pytest.raises(MigrationError, match=r"differ only in letter case: 1 and 3; 4 and 5\. Change or"):
            upgrade(before.url, "head")
    sign_up(before, "release_1_0@example.com")
    before.run("UPDATE users SET email = 'other@example.com' WHERE id = 3")
    before.run("DELETE FROM users WHERE id = 5")
    upgrade(before.url, "head")
    assert before.value("SELECT count(*) FROM users WHERE lower_case_email IS NOT NULL") == 5


def test_a_long_list_of_conflicts_is_cut(before: Database) -> None:
    for number in range(21):
        sign_up(before, f"É{number}@example.com", f"é{number}@example.com")
    with pytest.raises(MigrationError, match=r"; 39 and 40 \(the first 20 of 21 groups\)\. Change"):
        upgrade(before.url, "head")


@pytest.mark.parametrize("revision", ["20261126e", "head"])
def test_release_1_0_and_operators_write_addresses_without_their_lower_case(
    revision: str, before: Database
) -> None:
    upgrade(before.url, revision)
    sign_up(before, "Ada@example.com")
    assert before.run(LOWER_CASE) == [["Ada@example.com", "ada@example.com"]]
    before.run("UPDATE users SET email = 'Bob@example.com', phone_number = '1'")
    assert before.run(LOWER_CASE) == [["Bob@example.com", "bob@example.com"]]
    before.run("UPDATE users SET phone_number = '2', email = email")
    assert before.run(LOWER_CASE) == [["Bob@example.com", "bob@example.com"]]


@pytest.mark.parametrize("revision", ["20261126e", "head"])
def test_a_lower_case_that_a_statement_sets_is_kept(revision: str, before: Database) -> None:
    upgrade(before.url, revision)
    before.run("INSERT INTO users (email, lower_case_email, password) VALUES ('ÉVA@b.c', 'éva@b.c', 'hash')")
    assert before.run(LOWER_CASE) == [["ÉVA@b.c", "éva@b.c"]]
    for email in ("Éva@b.c", "éva@b.c", "ÉVA@b.c"):
        before.run("UPDATE users SET email = :email, lower_case_email = 'éva@b.c'", email=email)
        assert before.run(LOWER_CASE) == [[email, "éva@b.c"]]
    before.run("UPDATE users SET lower_case_email = 'other'")
    assert before.run(LOWER_CASE) == [["ÉVA@b.c", "other"]]
