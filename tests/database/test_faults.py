"""What becomes of a request when the database or the connection fails."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import NamedTuple

import pg8000.native
import pytest

import votes.queries
from common import database as common_database
from common import deadline
from common.database import ManagedConnection
from common.errors import PostgresError, UnavailableError, UnknownOutcomeError
from tests.support.connections import run_sql
from tests.support.database import Database, connect, principal_of
from tests.support.lambdas import Context, call
from tests.support.postgres_proxy import READY, Fault, PostgresProxy, error_response

LOST_REQUEST = Fault(reaches_server=False, response=lambda _: b"")
LOST_RESPONSE = Fault(response=lambda _: b"")
CLOSES_AFTERWARDS = Fault()
SILENCE = Fault(reaches_server=False, response=lambda _: b"", closes=False)
SELECT_ONE = "SELECT 1"

# A function that fails with a given SQLSTATE the first few times. It counts in a sequence, because a rollback
# does not reset a sequence.
FAIL = """
CREATE FUNCTION fail(state text, times integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('attempts') <= times THEN
        RAISE EXCEPTION USING ERRCODE = state;
    END IF;
    RETURN 1;
END
$$
"""
FAILING = "SELECT fail($1::text, $2::integer)"


@pytest.fixture
def attempts(database: Database) -> Iterator[Database]:
    """Return the database, with the function and the sequence of the statement `FAILING`."""
    database.run("CREATE SEQUENCE attempts")
    database.run(FAIL)
    yield database
    database.run("DROP FUNCTION fail")
    database.run("DROP SEQUENCE attempts")


@pytest.fixture
def owner(database: Database) -> int:
    """Return the id of a user."""
    return database.add_user()


def write(connection: ManagedConnection, owner: int) -> list[list[int]]:
    sql = "INSERT INTO posts (title, content, owner_id) VALUES ('t', 'c', $1::integer) RETURNING 1"
    return run_sql(connection, sql, owner, writes=True)


def posts(database: Database) -> int:
    number: int = database.value("SELECT count(*) FROM posts")
    return number


def assert_works(connection: ManagedConnection) -> None:
    """Check that the next statement succeeds."""
    assert run_sql(connection, SELECT_ONE) == [[1]]


@pytest.mark.parametrize("fault", [LOST_REQUEST, LOST_RESPONSE])
def test_a_read_whose_connection_is_lost_is_retried(
    fault: Fault, connection: ManagedConnection, proxy: PostgresProxy
) -> None:
    proxy.faults = [fault]
    assert_works(connection)
    assert proxy.statements == [SELECT_ONE, SELECT_ONE]
    assert proxy.connections == 2


def test_a_read_that_fails_twice_is_unavailable_and_the_next_one_works(
    connection: ManagedConnection, proxy: PostgresProxy
) -> None:
    proxy.faults = [LOST_RESPONSE, LOST_RESPONSE]
    with pytest.raises(UnavailableError):
        run_sql(connection, SELECT_ONE)
    assert len(proxy.statements) == 2
    assert_works(connection)


@pytest.mark.parametrize(("fault", "written"), [(LOST_REQUEST, 0), (LOST_RESPONSE, 1)])
def test_a_write_whose_connection_is_lost_is_never_retried(
    fault: Fault,
    written: int,
    connection: ManagedConnection,
    proxy: PostgresProxy,
    owner: int,
    database: Database,
) -> None:
    proxy.faults = [fault]
    with pytest.raises(UnknownOutcomeError):
        write(connection, owner)
    assert len(proxy.statements) == 1
    assert posts(database) == written
    assert_works(connection)


@pytest.mark.usefixtures("connection")
def test_a_client_learns_that_the_outcome_of_a_write_is_unknown(
    proxy: PostgresProxy, owner: int, database: Database
) -> None:
    proxy.faults = [LOST_RESPONSE]
    assert call("create_post", user=owner).status == 504
    assert posts(database) == 1
    assert call("create_post", user=owner).status == 201


def test_a_response_that_stops_in_the_middle_is_a_lost_connection(
    connection: ManagedConnection, proxy: PostgresProxy, owner: int
) -> None:
    proxy.faults = [Fault(response=lambda response: response[:-9])]
    with pytest.raises(UnknownOutcomeError):
        write(connection, owner)
    assert_works(connection)


def test_a_connection_that_was_closed_while_idle_is_not_used(
    connection: ManagedConnection, proxy: PostgresProxy, owner: int, database: Database
) -> None:
    proxy.faults = [CLOSES_AFTERWARDS]
    assert_works(connection)
    proxy.wait_until_closed()
    assert write(connection, owner) == [[1]]
    assert posts(database) == 1
    assert proxy.connections == 2


def test_the_rest_of_an_undecodable_response_is_discarded(
    connection: ManagedConnection, proxy: PostgresProxy
) -> None:
    with pytest.raises(ValueError, match="seven"):
        run_sql(connection, "VALUES ('seven'), ('8')")
    assert_works(connection)
    assert proxy.connections == 2


def test_a_backend_that_was_terminated_while_idle_is_not_used(
    connection: ManagedConnection, proxy: PostgresProxy, owner: int, database: Database
) -> None:
    [[pid]] = run_sql(connection, "SELECT pg_backend_pid()")
    database.run("SELECT pg_terminate_backend(:pid, 5000)", pid=pid)
    proxy.wait_until_closed()
    assert write(connection, owner) == [[1]]
    assert posts(database) == 1


def test_a_connection_is_replaced_before_the_proxy_closes_it(
    connection: ManagedConnection, proxy: PostgresProxy
) -> None:
    assert_works(connection)
    assert_works(connection)
    assert proxy.connections == 1
    connection.reconnect_at = 0.0
    assert_works(connection)
    assert proxy.connections == 2


def test_a_refused_connection_is_unavailable(
    connection: ManagedConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr(connection, "settings", connection.settings._replace(port=port))
    with pytest.raises(UnavailableError):
        run_sql(connection, SELECT_ONE, writes=True)


def test_a_server_that_comes_back_shortly_is_retried(
    connection: ManagedConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = []
    settings = connection.settings

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        monkeypatch.setattr(connection, "settings", settings)

    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr(connection, "settings", settings._replace(port=port))
    monkeypatch.setattr(time, "sleep", pause)
    assert run_sql(connection, SELECT_ONE, writes=True) == [[1]]
    assert len(pauses) == 1
    assert 0 < pauses[0] < 1


def test_a_missing_database_is_unavailable(
    connection: ManagedConnection, proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "settings", connection.settings._replace(name="nowhere"))
    with pytest.raises(UnavailableError, match="nowhere"):
        run_sql(connection, SELECT_ONE, writes=True)
    assert proxy.connections == 1
    assert proxy.statements == []


def test_a_refused_login_is_not_retried(
    connection: ManagedConnection, proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "settings", connection.settings._replace(user="nobody"))
    with pytest.raises(UnavailableError, match='role "nobody" does not exist') as raised:
        run_sql(connection, SELECT_ONE)
    assert not raised.value.retryable
    assert proxy.connections == 1


@pytest.mark.parametrize(("state", "attempts"), [("53300", 2), ("57P03", 2), ("08P01", 2), ("28P01", 1)])
def test_a_connection_is_tried_again_if_the_server_may_accept_it(
    state: str, attempts: int, connection: ManagedConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing_server(state) as refusals:
        port = refusals.listener.getsockname()[1]
        monkeypatch.setattr(connection, "settings", connection.settings._replace(port=port))
        with pytest.raises(UnavailableError):
            run_sql(connection, SELECT_ONE, writes=True)
        assert refusals.number == attempts


def test_a_login_that_times_out_is_not_retried(
    connection: ManagedConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common_database, "STATEMENT_TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setattr(connection, "settings", connection.settings._replace(port=port))
        with pytest.raises(UnavailableError) as raised:
            run_sql(connection, SELECT_ONE)
        silent.settimeout(0)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):  # there is no second connection
            silent.accept()
    assert not raised.value.retryable


def test_a_connect_that_times_out_is_not_retried(
    connection: ManagedConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def create_connection(*arguments: object) -> None:
        attempts.append(arguments)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", create_connection)
    with pytest.raises(UnavailableError):
        run_sql(connection, SELECT_ONE)
    assert len(attempts) == 1


@pytest.mark.usefixtures("connection")
def test_a_client_is_told_to_retry_when_nothing_was_changed(
    connection: ManagedConnection, proxy: PostgresProxy, owner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = connection.settings
    monkeypatch.setattr(connection, "settings", settings._replace(name="nowhere"))
    response = call("create_post", user=owner)
    assert response.status == 503
    assert response.headers["Retry-After"] == ["1"]
    assert proxy.statements == []
    monkeypatch.setattr(connection, "settings", settings)
    assert call("create_post", user=owner).status == 201


def test_a_silent_server_times_out(
    connection: ManagedConnection, proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_works(connection)
    proxy.faults = [SILENCE]
    with monkeypatch.context() as patched:
        patched.setattr(common_database, "STATEMENT_TIMEOUT_SECONDS", 0.05)
        with pytest.raises(UnavailableError) as raised:
            run_sql(connection, SELECT_ONE)
    # The server may still be working on it.
    assert not raised.value.retryable
    assert proxy.statements == [SELECT_ONE] * 2
    assert_works(connection)
    assert proxy.connections == 2


def test_a_response_that_stops_in_the_middle_times_out(
    connection: ManagedConnection, proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_works(connection)
    proxy.faults = [Fault(response=lambda response: response[:9], closes=False)]
    monkeypatch.setattr(common_database, "STATEMENT_TIMEOUT_SECONDS", 0.05)
    with pytest.raises(UnavailableError) as raised:
        run_sql(connection, SELECT_ONE)
    assert not raised.value.retryable
    assert proxy.statements == [SELECT_ONE] * 2


def test_a_write_that_times_out_has_an_unknown_outcome(
    connection: ManagedConnection, proxy: PostgresProxy, owner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_works(connection)
    proxy.faults = [SILENCE]
    monkeypatch.setattr(common_database, "STATEMENT_TIMEOUT_SECONDS", 0.05)
    with pytest.raises(UnknownOutcomeError):
        write(connection, owner)
    assert len(proxy.statements) == 2


def test_no_statement_waits_beyond_the_deadline(connection: ManagedConnection, proxy: PostgresProxy) -> None:
    assert_works(connection)  # opens the connection before the deadline is set
    proxy.faults = [SILENCE]
    deadline.start(Context(milliseconds=1_200))
    begin = time.monotonic()
    with pytest.raises(UnavailableError):
        run_sql(connection, SELECT_ONE)
    assert time.monotonic() - begin < common_database.STATEMENT_TIMEOUT_SECONDS / 2
    assert len(proxy.statements) == 2  # with the one that opened the connection


def test_no_statement_starts_after_the_deadline(connection: ManagedConnection, proxy: PostgresProxy) -> None:
    deadline.start(Context(milliseconds=1_000))
    with pytest.raises(UnavailableError):
        run_sql(connection, SELECT_ONE)
    assert proxy.connections == 0


@pytest.mark.parametrize("state", ["40P01", "40001", "23503", "23505"])
def test_a_statement_that_lost_a_race_is_run_again_over_the_same_connection(
    state: str, connection: ManagedConnection, proxy: PostgresProxy, attempts: Database
) -> None:
    assert run_sql(connection, FAILING, state, 1, writes=True) == [[1]]
    assert attempts.value("SELECT last_value FROM attempts") == 2
    assert proxy.connections == 1


def test_a_missing_value_is_our_fault_and_not_a_lost_race(
    connection: ManagedConnection, attempts: Database
) -> None:
    with pytest.raises(PostgresError) as raised:
        run_sql(connection, FAILING, "23502", 1, writes=True)
    assert raised.value.sqlstate == "23502"
    assert attempts.value("SELECT last_value FROM attempts") == 1


@pytest.mark.parametrize("state", ["25006", "53300", "57P01", "57P02", "57P03"])
def test_a_statement_on_an_unavailable_server_is_retried_on_another_connection(
    state: str, connection: ManagedConnection, proxy: PostgresProxy, attempts: Database
) -> None:
    assert run_sql(connection, FAILING, state, 1, writes=True) == [[1]]
    assert attempts.value("SELECT last_value FROM attempts") == 2
    assert proxy.connections == 2


@pytest.mark.parametrize("state", ["40P01", "25006", "23503"])
def test_a_statement_is_run_at_most_twice(
    state: str, connection: ManagedConnection, attempts: Database
) -> None:
    with pytest.raises(UnavailableError):
        run_sql(connection, FAILING, state, 9, writes=True)
    assert attempts.value("SELECT last_value FROM attempts") == 2
    assert_works(connection)


@pytest.mark.parametrize("state", ["55P03", "57014"])
def test_a_statement_that_times_out_is_not_retried(
    state: str, connection: ManagedConnection, proxy: PostgresProxy, attempts: Database
) -> None:
    with pytest.raises(UnavailableError):
        run_sql(connection, FAILING, state, 1)
    assert attempts.value("SELECT last_value FROM attempts") == 1
    assert_works(connection)
    assert proxy.connections == 1


@pytest.mark.parametrize("state", ["08006", "08P01"])
def test_a_pooler_that_lost_its_server_has_an_unknown_outcome(
    state: str, connection: ManagedConnection, attempts: Database
) -> None:
    with pytest.raises(UnknownOutcomeError):
        run_sql(connection, FAILING, state, 1, writes=True)
    assert attempts.value("SELECT last_value FROM attempts") == 1
    attempts.run("SELECT setval('attempts', 1, false)")
    assert run_sql(connection, FAILING, state, 1) == [[1]]


@pytest.mark.parametrize("state", ["42P01", "22003", "23514"])
def test_a_bug_in_a_statement_is_not_unavailability(
    state: str, connection: ManagedConnection, attempts: Database
) -> None:
    with pytest.raises(PostgresError) as refused:
        run_sql(connection, FAILING, state, 1, writes=True)
    assert refused.value.sqlstate == state
    assert attempts.value("SELECT last_value FROM attempts") == 1
    assert_works(connection)


def test_a_server_that_stops_before_the_statement_is_replaced(
    connection: ManagedConnection, proxy: PostgresProxy, owner: int, database: Database
) -> None:
    proxy.faults = [Fault(reaches_server=False, response=lambda _: error_response("FATAL", "57P01"))]
    assert write(connection, owner) == [[1]]
    assert posts(database) == 1
    assert proxy.connections == 2


def test_a_server_that_stops_after_the_statement_has_an_unknown_outcome(
    connection: ManagedConnection, proxy: PostgresProxy, owner: int, database: Database
) -> None:
    proxy.faults = [
        Fault(response=lambda response: response.removesuffix(READY) + error_response("FATAL", "57P01"))
    ]
    with pytest.raises(UnknownOutcomeError):
        write(connection, owner)
    assert posts(database) == 1
    assert len(proxy.statements) == 1
    assert_works(connection)


def test_a_server_that_fails_with_another_fatal_error_is_disconnected(
    connection: ManagedConnection, proxy: PostgresProxy
) -> None:
    proxy.faults = [Fault(reaches_server=False, response=lambda _: error_response("FATAL", "XX000"))]
    with pytest.raises(PostgresError):
        run_sql(connection, SELECT_ONE)
    assert_works(connection)
    assert proxy.connections == 2


def test_the_former_writer_of_a_failover_is_replaced(
    connection: ManagedConnection, owner: int, database: Database
) -> None:
    name = database.value("SELECT current_database()")
    database.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        assert_works(connection)
    finally:
        database.run(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    assert write(connection, owner) == [[1]]
    assert posts(database) == 1


@pytest.mark.parametrize("limit", ["statement_timeout", "lock_timeout"])
def test_a_statement_that_exceeds_a_time_limit_of_the_server_is_not_retried(
    limit: str, connection: ManagedConnection, proxy: PostgresProxy, owner: int, database: Database
) -> None:
    post_id = database.add_post(owner)
    sql = "SELECT id FROM posts FOR UPDATE"
    with pytest.MonkeyPatch.context() as patched, held(database, post_id):
        patched.setattr(common_database, "ROLE_SETTINGS", {limit: "20ms"})
        with pytest.raises(UnavailableError, match=limit.replace("_", " ")) as raised:
            run_sql(connection, sql)
    assert not raised.value.retryable
    assert proxy.statements == [sql]
    assert_works(connection)


def test_the_victim_of_a_deadlock_is_retried(
    connection: ManagedConnection, proxy: PostgresProxy, owner: int, database: Database
) -> None:
    first, gate, second = (database.add_post(owner) for _ in range(3))
    name = database.value("SELECT current_database()")
    # A backend checks for a deadlock once, this long after it starts to wait. Ours does so immediately, so it
    # becomes the victim; the other one never does.
    database.run(f"ALTER DATABASE {name} SET deadlock_timeout = '1ms'")
    try:
        assert_works(connection)
    finally:
        database.run(f"ALTER DATABASE {name} RESET deadlock_timeout")
    with ThreadPoolExecutor(2) as pool, held(database, gate) as gatekeeper, held(database, second) as other:
        lock_all = "SELECT id FROM posts ORDER BY id FOR UPDATE"
        mine = pool.submit(run_sql, connection, lock_all, writes=True)
        database.wait_for_locks(1)
        theirs = pool.submit(other.run, "UPDATE posts SET title = 'other' WHERE id = :first", first=first)
        database.wait_for_locks(2)
        gatekeeper.run("COMMIT")
        theirs.result()
        other.run("COMMIT")
        assert mine.result() == [[first], [gate], [second]]
    assert proxy.statements == [SELECT_ONE, lock_all, lock_all]


def test_a_vote_on_a_post_that_is_deleted_concurrently_finds_no_post(
    connection: ManagedConnection, proxy: PostgresProxy, owner: int, database: Database
) -> None:
    assert connection.connection is None
    post_id = database.add_post(owner)
    with ThreadPoolExecutor(1) as pool, held(database, post_id) as other:
        vote = pool.submit(
            votes.queries.cast, principal_of(owner), post_id=post_id, per_day=1, verified_only=False
        )
        database.wait_for_locks(1)
        other.run("DELETE FROM posts WHERE id = :post_id", post_id=post_id)
        other.run("COMMIT")
        assert vote.result() == [(False, False, None, True)]
    assert len(proxy.statements) == 2


class Refusals(NamedTuple):
    """A server that refuses every connection.

    Attributes:
        listener: Its socket.
        startups: The first message of each connection.

    """

    listener: socket.socket
    startups: list[bytes]

    @property
    def number(self) -> int:
        """The number of refused connections."""
        return len(self.startups)


@contextmanager
def refusing_server(state: str) -> Iterator[Refusals]:
    """Run a server that refuses every connection with a SQLSTATE."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        refusals = Refusals(listener, [])

        def refuse() -> None:
            with suppress(OSError):  # of the listener, when the test is over
                while True:
                    client, _ = listener.accept()
                    with client:
                        refusals.startups.append(client.recv(1_000))
                        client.sendall(error_response("FATAL", state))

        pool.submit(refuse)
        try:
            yield refusals
        finally:
            listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def held(database: Database, post_id: int) -> Iterator[pg8000.native.Connection]:
    """Lock a post; yield the connection whose transaction holds the lock."""
    connection = connect(database.url)
    try:
        connection.run("SET deadlock_timeout = '1min'")
        connection.run("BEGIN")
        connection.run("SELECT FROM posts WHERE id = :post_id FOR UPDATE", post_id=post_id)
        yield connection
    finally:
        connection.close()
