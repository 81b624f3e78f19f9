"""The runner: one migration at a time, with a deadline, and without blocking requests."""

import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy.exc import InterfaceError

from common.settings import parse_database_url
from migrations import runner
from migrations.runner import MigrationError, migrate
from tests.migrations.catalog import TABLES, describe
from tests.migrations.commands import head, upgrade
from tests.support.database import connect

# The revision after it creates an index CONCURRENTLY.
BEFORE_CONCURRENT_INDEX = "20261122c"
RELEASE_1_0 = "20261122d"
MIGRATE = """
import sys
from common.settings import parse_database_url
from migrations.runner import migrate
print(migrate(parse_database_url(sys.argv[1], local=True), seconds=30))
"""


def start_migration(url: str) -> subprocess.Popen[str]:
    """Migrate in a process of its own, because alembic works for one thread at a time."""
    return subprocess.Popen(
        [sys.executable, "-c", MIGRATE, url],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("revision", ["base", BEFORE_CONCURRENT_INDEX])
def test_two_migrations_at_once_both_succeed(revision: str, empty_url: str) -> None:
    upgrade(empty_url, revision)
    before = describe(empty_url, TABLES)
    with connect(empty_url) as other:
        other.run(f"SELECT pg_advisory_lock({runner.LOCK_KEY})")
        processes = [start_migration(empty_url) for _ in range(2)]
        connected = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        while other.run(connected) != [[2]]:
            assert [process.poll() for process in processes] == [None, None]
            time.sleep(0.05)
        time.sleep(1)
        assert describe(empty_url, TABLES) == before
        other.run(f"SELECT pg_advisory_unlock({runner.LOCK_KEY})")
        outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert [stdout.strip() for stdout, _ in outputs] == [head(), head()]


def test_a_migration_stops_waiting_for_another_at_its_deadline(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The cluster may have to resume first. The time that takes must not be added to the wait.
    connect_to = runner._connect  # noqa: SLF001

    def connect_slowly(*arguments: Any) -> Any:  # noqa: ANN401  # an SQLAlchemy connection
        time.sleep(2)
        return connect_to(*arguments)

    monkeypatch.setattr(runner, "_connect", connect_slowly)
    with connect(empty_url) as other:
        other.run(f"SELECT pg_advisory_lock({runner.LOCK_KEY})")
        start = time.monotonic()
        with pytest.raises(MigrationError, match="another migration of this database is still running"):
            migrate(parse_database_url(empty_url, local=True), seconds=3)
    assert 3 <= time.monotonic() - start < 5


def test_a_database_that_does_not_respond_is_tried_until_the_deadline(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = urlsplit(empty_url)._replace(netloc=f"postgres@127.0.0.1:{port}").geturl()
    monkeypatch.setattr(runner, "RETRY_SECONDS", 0.1)
    start = time.monotonic()
    with pytest.raises(InterfaceError):
        migrate(parse_database_url(url, local=True), seconds=1)
    assert 1 <= time.monotonic() - start < 3


def test_a_table_in_use_is_tried_again_later(
    empty_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    upgrade(empty_url, BEFORE_CONCURRENT_INDEX)
    monkeypatch.setattr(runner, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(runner, "TABLE_LOCK_TIMEOUT_SECONDS", 1)
    settings = parse_database_url(empty_url, local=True)
    with ThreadPoolExecutor() as threads, connect(empty_url) as other:
        other.run("BEGIN")
        other.run("LOCK TABLE idempotency_keys")
        migration = threads.submit(migrate, settings, seconds=30)
        while not any("a table is in use" in message for message in caplog.messages):
            assert not migration.done()
            time.sleep(0.05)
        other.run("ROLLBACK")
        assert migration.result() == head()


def test_a_migration_that_deadlocks_with_a_request_is_tried_again(
    empty_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    upgrade(empty_url, RELEASE_1_0)
    monkeypatch.setattr(runner, "RETRY_SECONDS", 0.01)
    settings = parse_database_url(empty_url, local=True)
    with ThreadPoolExecutor() as threads, connect(empty_url) as other:
        # The migration notices the deadlock first.
        other.run("SET deadlock_timeout = '30s'; SET lock_timeout = '20s'")
        other.run("BEGIN")
        other.run("SELECT FROM posts")
        migration = threads.submit(migrate, settings, seconds=30)
        blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'posts'::regclass"
        with connect(empty_url) as observer:
            while observer.run(blocked) == [[0]]:
                assert not migration.done()
                time.sleep(0.05)
        # The migration holds a lock on this table.
        other.run("SELECT FROM users")
        other.run("ROLLBACK")
        assert migration.result() == head()
    assert any("a table is in use" in message for message in caplog.messages)


def test_a_database_with_other_tables_is_not_migrated(empty_url: str) -> None:
    name = urlsplit(empty_url).path.strip("/")
    with connect(empty_url) as connection:
        connection.run("CREATE TABLE users (id integer); CREATE TABLE customers (id integer)")
        before = describe(empty_url, TABLES)
        expected = (
            rf"^the database {name} has tables of another application \(customers, users\): use an empty"
        )
        with pytest.raises(MigrationError, match=expected):
            migrate(parse_database_url(empty_url, local=True))
        assert describe(empty_url, TABLES) == before


def test_a_database_with_the_revisions_of_another_application_is_not_migrated(empty_url: str) -> None:
    name = urlsplit(empty_url).path.strip("/")
    with connect(empty_url) as connection:
        connection.run("CREATE TABLE users (id integer); CREATE TABLE posts (id integer)")
        connection.run("CREATE TABLE alembic_version AS SELECT 'a1b2c3' AS version_num")
        expected = rf"^the database {name} has the revisions of another application \(a1b2c3\): use an empty"
        with pytest.raises(MigrationError, match=expected):
            migrate(parse_database_url(empty_url, local=True))


def test_the_newer_revision_of_newer_code_is_kept(empty_url: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = parse_database_url(empty_url, local=True)
    migrate(settings)
    with connect(empty_url) as connection:
        connection.run("UPDATE alembic_version SET version_num = 'newer'")
    assert migrate(settings) == "newer"
    assert caplog.messages == ["the database has the revision newer, which this code does not know"]
