"""Faults under load: of PostgreSQL, of PgBouncer and of the network between.

`System.under` asserts what holds under each: no wrong response, no 5xx but 503 and 504, no write that is lost
or done twice, no environment of a function that ends, no response after the timeout minus a margin, and a
response to every request after the fault. The tests assert what else is known.
"""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pg8000.native
import pytest

from tests.long.conftest import DATABASE
from tests.long.system import Record, System, posts_with_wrong_counters
from tests.long.traffic import Client, populate
from tests.support.database import PASSWORD, Database, connect
from tests.support.processes import until

DEADLOCKS = 20
BACKENDS = "pid <> pg_backend_pid() AND backend_type = 'client backend'"
ROUNDS = 5


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Iterator[list[Record]]:
    """Collect records, and print them after the test: they are the figures in docs/reliability.md."""
    records: list[Record] = []
    yield records
    for record in records:
        print(f"\n{request.node.name}: {record}")  # noqa: T201  # figures


def test_every_backend_is_killed_again_and_again(system: System, tell: list[Record]) -> None:
    def kill() -> None:
        for _ in range(ROUNDS):
            system.cluster.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {BACKENDS}")
            time.sleep(0.5)

    record = system.under(kill)
    tell.append(record)
    # The second attempt begins after all connections are known to be closed.
    assert record.reads.keys() == {200}


def test_the_database_crashes_and_recovers(system: System, tell: list[Record]) -> None:
    def crash() -> None:
        [pid, *_] = system.cluster.execute(
            f"SELECT pid FROM pg_stat_activity WHERE {BACKENDS} AND pid > 0"
        ).splitlines()
        os.kill(int(pid), signal.SIGKILL)
        time.sleep(1)

    tell.append(system.under(crash))


def test_the_database_restarts(system: System, tell: list[Record]) -> None:
    def restart() -> None:
        system.cluster.stop()
        time.sleep(1)
        system.cluster.start()

    record = system.under(restart, calm=3)
    tell.append(record)
    # A pooler can make its clients wait until the database is back. Without one, some reads fail.
    assert system.pooler is not None or 503 in record.reads


def test_the_pooler_restarts(system: System, tell: list[Record]) -> None:
    if system.pooler is None:
        pytest.skip("this system has no pooler")

    def restart() -> None:
        for number in (signal.SIGQUIT, signal.SIGKILL, signal.SIGQUIT):
            assert system.pooler is not None
            system.pooler.stop(number)
            system.pooler.start()
            time.sleep(0.5)

    tell.append(system.under(restart))


def test_the_pooler_is_unavailable_for_a_second(system: System, tell: list[Record]) -> None:
    if system.pooler is None:
        pytest.skip("this system has no pooler")

    def leave() -> None:
        assert system.pooler is not None
        system.pooler.stop()
        time.sleep(1)
        system.pooler.start()

    record = system.under(leave)
    tell.append(record)
    assert 503 in record.reads
    assert 503 in record.writes


def test_a_statement_runs_into_its_limit(system: System, tell: list[Record]) -> None:
    def lock() -> None:
        with closing(connect(system.url)) as connection:
            connection.run("BEGIN")
            connection.run("LOCK TABLE posts IN ACCESS EXCLUSIVE MODE")
            time.sleep(6)
            connection.run("ROLLBACK")

    record = system.under(lock)
    tell.append(record)
    assert 503 in record.reads | record.writes
    # The server's limit ends the statement before the function's timeout, so the outcome of a write is known.
    # With a pooler, the wait for a connection is added.
    assert system.pooler or 504 not in record.writes


def test_the_server_is_slower_than_a_function_waits(system: System, tell: list[Record]) -> None:
    def hang() -> None:
        backends = system.cluster.execute(f"SELECT pid FROM pg_stat_activity WHERE {BACKENDS}").split()
        for number, pause in ((signal.SIGSTOP, 9), (signal.SIGCONT, 0)):
            for pid in backends:
                os.kill(int(pid), number)
            time.sleep(pause)

    record = system.under(hang, calm=3)
    tell.append(record)
    assert 503 in record.reads
    assert 504 in record.writes


def test_the_server_is_full(system: System, tell: list[Record]) -> None:
    def fill() -> None:
        guests = []
        try:
            while True:
                try:
                    guests.append(connect(system.url))
                except pg8000.native.DatabaseError:
                    break
            kill_others = " AND ".join([BACKENDS, "pid <> ALL(:guests)", "datname = current_database()"])
            pids = [guest.run("SELECT pg_backend_pid()")[0][0] for guest in guests]
            for _ in range(ROUNDS):
                guests[0].run(
                    f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {kill_others}", guests=pids
                )
                try:
                    while True:
                        guests.append(connect(system.url))
                        pids.append(guests[-1].run("SELECT pg_backend_pid()")[0][0])
                except pg8000.native.DatabaseError:
                    time.sleep(0.2)
        finally:
            for guest in guests:
                guest.close()

    record = system.under(fill)
    tell.append(record)
    assert 503 in record.reads
    # PgBouncer reports with the same SQLSTATE that it found no server and that it lost one. Only without it,
    # the outcome is known.
    assert system.pooler or 503 in record.writes


def test_the_server_is_the_old_writer_of_a_failover(system: System, tell: list[Record]) -> None:
    def read_only(value: str) -> None:
        system.cluster.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        system.cluster.execute("SELECT pg_reload_conf()")

    def fail_over() -> None:
        read_only("on")
        time.sleep(2)
        read_only("off")

    record = system.under(fail_over)
    tell.append(record)
    assert record.reads.keys() == {200}
    # The server rejected the write, so its outcome is known.
    assert 503 in record.writes
    assert 504 not in record.writes


def test_the_victim_of_a_deadlock_succeeds(system: System) -> None:
    # The statement that deletes an account locks many posts. Another session locks the first and the last of
    # them in the opposite order.
    first, *_, last = sorted(person.post for person in system.people)
    lock = "UPDATE posts SET content = content WHERE id = :post"
    with ThreadPoolExecutor(1) as pool, Database(system.url) as database:
        database.run(f"ALTER DATABASE {DATABASE} SET deadlock_timeout = '300ms'")
        database.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {BACKENDS}")
        other = connect(system.url)
        # A session looks for a deadlock once, after it has waited for this time. This one never does, so that
        # it is never the victim.
        other.run("SET deadlock_timeout = '1min'")
        before = deadlocks(database)
        for _ in range(DEADLOCKS):
            [leaver] = populate(database, 1, system.key)
            for person in system.people:
                database.add_vote(leaver.id, person.post)
            client = Client(system.gateway.url, leaver.token)
            other.run("BEGIN")
            other.run(lock, post=last)
            response = pool.submit(client.send, "DELETE", "/users/me", {"current_password": PASSWORD})
            database.wait_for_locks(1)
            other.run(lock, post=first)
            other.run("COMMIT")
            assert response.result().status == 204, system.gateway.log.read_text()[-3000:]
            client.close()
        until(lambda: deadlocks(database) >= before + DEADLOCKS)
        other.close()
        database.run(f"ALTER DATABASE {DATABASE} RESET deadlock_timeout")
    assert posts_with_wrong_counters(system.url) == []


def deadlocks(database: Database) -> int:
    """Count the deadlocks that the server has broken so far."""
    number: int = database.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return number
