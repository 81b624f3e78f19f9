"""Runs statements on PostgreSQL: one connection per execution environment, one round trip per statement.

How errors are handled:

    conflict with another statement     rolled back; run again
    server or connection unavailable    rolled back, or a read; run again on a new connection
    time limit exceeded                 rolled back, or a read; UnavailableError, not run again
    login refused                       UnavailableError, not run again
    connection lost during a write      UnknownOutcomeError
    any other                           PostgresError, a bug
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final, Generic, NamedTuple, ParamSpec, TypeVar, get_args
from uuid import UUID

from aws_lambda_powertools import Logger

from common import aws, deadline
from common.connection import (
    ROLE_SETTINGS,
    Connection,
    ConnectionLostError,
    Decoder,
)
from common.errors import PostgresError, UnavailableError, UnknownOutcomeError
from common.settings import DatabaseSettings, SettingsError, database_settings
from common.tls import database_tls

# Less than RDS Proxy's idle timeout of 30 minutes, so that we close the connection, not the proxy.
MAX_CONNECTION_AGE_SECONDS: Final = 20 * 60
# A statement takes milliseconds. `_statement_timeout` is shorter if less time is left before the deadline.
STATEMENT_TIMEOUT_SECONDS: Final = 3.0
# After this delay a pooler has noticed dead servers, and the winner of a deadlock has acquired its locks.
RETRY_DELAY_SECONDS: Final = 0.1

# A concurrent statement inserted the same key, deleted a row or held a lock. A second attempt sees this.
CONFLICTS: Final = frozenset(
    {
        "23503",  # foreign_key_violation
        "23505",  # unique_violation
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
    }
)
# The server is stopping, starting, full, or the former writer of a failover. A new connection may help.
SERVER_UNAVAILABLE: Final = frozenset(
    {
        "25006",  # read_only_sql_transaction
        "53300",  # too_many_connections
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
    }
)
# The statement exceeded a time limit. A second attempt would probably exceed it, too. The same holds for the
# limits of this module, with the difference that the server may still be working on the statement.
TIMED_OUT: Final = frozenset(
    {
        "55P03",  # lock_not_available
        "57014",  # query_canceled
    }
)
# Class 08, connection_exception: a pooler lost its server, perhaps after the commit of the statement.
CONNECTION_EXCEPTION: Final = "08"

# How to decode a column, by the type of its field. `fromisoformat` accepts PostgreSQL's format of a time.
DECODERS: Final[Mapping[object, Decoder]] = {
    bool: "t".__eq__,
    datetime: datetime.fromisoformat,
    int: int,
    str: str,
    UUID: UUID,
}


log = Logger()

P = ParamSpec("P")
Row = TypeVar("Row", bound=NamedTuple)


class Statement(Generic[P, Row]):
    """A compiled SQL statement. Calling it runs it, in one round trip, and returns its rows.

    The call takes the parameters by keyword, and in NamedTuples whose fields are named like them. Such an
    object may serve several statements: each reads the fields that its SQL uses.

    Raises TypeError for unknown or missing keywords, UnavailableError when nothing was changed, and
    UnknownOutcomeError when a write may or may not have been committed.
    """

    __slots__ = ("decoders", "parameters", "row_type", "sql", "writes")

    def __init__(self, row_type: type[Row], sql: str, parameters: tuple[str, ...], *, writes: bool) -> None:
        self.row_type = row_type
        self.decoders = [DECODERS[kind] for kind in field_types(row_type).values()]
        self.sql = sql
        self.parameters = parameters
        self.writes = writes

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> list[Row]:
        """Run the statement and return its rows."""
        rows = managed_connection().run(self, self._values(args, kwargs))
        return list(map(self.row_type._make, rows))

    def _values(self, args: Sequence[object], kwargs: Mapping[str, object]) -> list[object]:
        values = dict(kwargs)
        for each in args:
            values |= each._asdict()  # type: ignore[attr-defined]  # P says that they are NamedTuples
        unknown = sorted(kwargs.keys() - set(self.parameters))
        missing = sorted(set(self.parameters) - values.keys())
        if unknown or missing:
            raise TypeError(f"wrong parameters for this statement: unknown {unknown}, missing {missing}")
        return [values[name] for name in self.parameters]


def field_types(row: type[NamedTuple]) -> dict[str, object]:
    """Return the type of each field of a row type, without `None`: NULL is not decoded."""
    return {name: (*get_args(kind), kind)[0] for name, kind in row.__annotations__.items()}


class ManagedConnection:
    """A connection that is opened when it is first needed, and again when it was lost.

    It is not opened during init, because a SnapStart snapshot must not contain an open connection.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        # Shared by all connections, because loading the authorities takes longer than a TLS handshake.
        self.ssl_context = database_tls(settings)
        self.connection: Connection | None = None
        self.reconnect_at = 0.0
        self.has_run_statement = False

    def run(self, statement: Statement[..., Any], values: Sequence[object]) -> list[list[Any]]:
        """Run a statement and return its rows.

        Run it a second time if nothing was changed and a second attempt may succeed. Raises what a call of a
        Statement raises.
        """
        try:
            return self._attempt(statement, values)
        except UnavailableError as error:
            log.warning("database unavailable", reason=str(error), retryable=error.retryable)
            if not error.retryable:
                raise
        time.sleep(RETRY_DELAY_SECONDS)
        return self._attempt(statement, values)

    def _attempt(self, statement: Statement[..., Any], values: Sequence[object]) -> list[list[Any]]:
        connection = self._current_connection()
        try:
            rows = connection.execute(statement.sql, values, statement.decoders, timeout=_statement_timeout())
        except PostgresError as error:
            if error.fatal or error.sqlstate in SERVER_UNAVAILABLE:
                self.disconnect()
            if _is_connection_exception(error):
                raise _connection_lost(statement, error, retryable=True) from None
            if error.sqlstate in CONFLICTS | SERVER_UNAVAILABLE | TIMED_OUT:
                raise UnavailableError(str(error), retryable=error.sqlstate not in TIMED_OUT) from None
            raise
        except ConnectionLostError as error:
            self.disconnect()
            raise _connection_lost(statement, error, retryable=not error.timed_out) from None
        except BaseException:
            # Otherwise, the next statement would read the rest of this response.
            self.disconnect()
            raise
        self.has_run_statement = True
        return rows

    def _current_connection(self) -> Connection:
        if self.connection is not None and self._needs_reconnect(self.connection):
            self.disconnect()
        if self.connection is None:
            self.connection = self._connect()
            self.reconnect_at = time.monotonic() + MAX_CONNECTION_AGE_SECONDS
            self.has_run_statement = False
        return self.connection

    def _needs_reconnect(self, connection: Connection) -> bool:
        # After a TLS handshake, unread session tickets make the socket readable. Skip the check until the
        # first statement has consumed them.
        return time.monotonic() > self.reconnect_at or (
            self.has_run_statement and connection.is_closed_by_server()
        )

    def _connect(self) -> Connection:
        try:
            return Connection(
                host=self.settings.host,
                port=self.settings.port,
                database=self.settings.name,
                user=self.settings.user,
                password=self._password(),
                ssl_context=self.ssl_context,
                timeout=_statement_timeout(),
                # Not on AWS, where the role has these settings, because they may pin a session of RDS Proxy.
                startup_params=ROLE_SETTINGS if self.settings.local else None,
            )
        except PostgresError as error:
            unavailable = error.sqlstate in SERVER_UNAVAILABLE or _is_connection_exception(error)
            raise UnavailableError(str(error), retryable=unavailable) from None
        except ConnectionLostError as error:
            raise UnavailableError(str(error), retryable=not error.timed_out) from None
        except aws.AwsError as error:
            raise UnavailableError(str(error), retryable=True) from None
        except SettingsError as error:
            raise UnavailableError(str(error), retryable=False) from None

    def _password(self) -> str | None:
        if not self.settings.iam:
            return self.settings.password
        return aws.rds_auth_token(self.settings.host, self.settings.port, self.settings.user)

    def disconnect(self) -> None:
        """Close the connection; the next statement opens a new one."""
        if self.connection is not None:
            self.connection.discard()
            self.connection = None


def _statement_timeout() -> float:
    left = deadline.seconds_left()
    if left <= 0:
        raise UnavailableError("no time left in this invocation", retryable=False)
    return min(left, STATEMENT_TIMEOUT_SECONDS)


def _is_connection_exception(error: PostgresError) -> bool:
    return error.sqlstate.startswith(CONNECTION_EXCEPTION)


def _connection_lost(
    statement: Statement[..., Any], error: Exception, *, retryable: bool
) -> UnavailableError | UnknownOutcomeError:
    if statement.writes:
        return UnknownOutcomeError(str(error))
    return UnavailableError(str(error), retryable=retryable)


@cache
def managed_connection() -> ManagedConnection:
    """Return the connection of this execution environment.

    The first call reads DATABASE_URL and the certificate authorities; raises SettingsError if they are wrong.
    Handlers call this during init, so that the first request does not wait for it.
    """
    return ManagedConnection(database_settings())
