"""A pg8000 connection that runs a statement in one round trip, and lets the server plan it only once.

Stock pg8000 needs three: it waits for a response after Parse, after Describe, and after Bind and Execute.
Between them a transaction pooler such as RDS Proxy or PgBouncer may give the server connection to another
client, and then each client reads the other's rows. We send all messages in one flush with one Sync:
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
We do not send Describe, because the row types in `rows.py` already say what the columns are.

The first run of a statement prepares it under a name, and later runs only send that name and the values. To
plan a statement takes longer than to run it. RDS Proxy and PgBouncer (from 1.21 on) know which statements a
client has prepared, and prepare them on another server connection before they use it:
https://aws.amazon.com/blogs/database/amazon-rds-proxy-multiplexing-support-for-postgresql-extended-query-protocol/
With any other pooler, the connection goes on without names after the first error.

This module uses internals of pg8000, so its version is pinned to 1.31. A test counts the round trips.
"""

import select
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from hashlib import sha256
from typing import Any, Final

from pg8000.converters import make_params
from pg8000.core import (
    BIND,
    EXECUTE_MSG,
    NULL_BYTE,
    PARSE,
    SYNC_MSG,
    Context,
    CoreConnection,
    H_pack,
    _create_message,
    _flush,
    _write,
    i_pack,
)
from pg8000.exceptions import DatabaseError, InterfaceError

from common.errors import PostgresError
from common.settings import SettingsError

# `Context.row_count` until the server has reported that the statement is complete.
NOT_COMPLETED = -1
# Stands for NULL in a Bind message, which has a length before each value.
NULL_LENGTH = i_pack(-1)
# The length of an empty array of parameter types or format codes.
ZERO_COUNT = H_pack(0)

# How the client and the server write text and times. Each setting can have another default in a database.
SESSION_SETTINGS: Final = {"client_encoding": "UTF8", "DateStyle": "ISO", "TimeZone": "UTC"}
# Less than the 3 s that a function waits for a response, so that the function learns that the statement was
# rolled back.
TIME_LIMITS: Final = {
    "statement_timeout": "2500ms",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "10s",
}
# How the server plans a statement: once, for any values. Neither values that an attacker chooses nor tables
# that were empty at that time lead to another plan. To compile a statement takes longer than to run it.
PLANNER_SETTINGS: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "jit": "off",
}
# The settings that the role of the functions has on AWS.
ROLE_SETTINGS: Final = SESSION_SETTINGS | TIME_LIMITS | PLANNER_SETTINGS
# The server does not have the statement of this name, or the types of its result have changed. It reports
# this before it runs anything.
NOT_PREPARED: Final = frozenset(
    {
        "26000",  # invalid_sql_statement_name
        "42P05",  # duplicate_prepared_statement
        "0A000",  # feature_not_supported: a cached plan must not change the type of its result
    }
)
# Other names of the same time zone, which a pooler may report.
UTC_NAMES: Final = frozenset({"Etc/UTC", "GMT", "Etc/GMT"})

# Turns PostgreSQL's text form of a value into a Python value.
Decoder = Callable[[str], Any]


class ConnectionLostError(Exception):
    """The connection broke or timed out before the server reported the result of the statement.

    Attributes:
        timed_out: Whether the server did not respond in time. It may still be working on the statement.

    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        # pg8000 raises some errors of the socket as the cause of its own.
        self.timed_out = isinstance(error.__cause__ or error, TimeoutError)


class Connection(CoreConnection):  # type: ignore[misc]  # pg8000 has no types
    """A connection in autocommit: each statement is a transaction of its own."""

    def __init__(self, **parameters: object) -> None:
        """Connect; the parameters are pg8000's.

        Raises PostgresError, ConnectionLostError, and SettingsError if text or times would be written in
        another way than this module writes them.
        """
        self._prepared: set[str] = set()
        self._uses_names = True
        try:
            super().__init__(**parameters)
        except DatabaseError as error:
            raise PostgresError(error.args[0]) from None
        except (InterfaceError, OSError) as error:
            raise ConnectionLostError(error) from None
        try:
            check_session(self.parameter_statuses, parameters)
        except SettingsError:
            self.discard()
            raise

    def execute(
        self, statement: str, values: Sequence[object], decoders: Sequence[Decoder], *, timeout: float
    ) -> list[list[Any]]:
        """Run one statement and return its rows.

        Args:
            statement: SQL with numbered parameters ($1, $2 ...).
            values: The values of the parameters.
            decoders: One for each column. NULL becomes None without them.
            timeout: The limit of each wait for the server, in seconds.

        Raises PostgresError if nothing was changed, and ConnectionLostError if that is unknown. After a
        ConnectionLostError or a fatal PostgresError, the connection cannot be used again.

        """
        texts = make_params(self.py_types, values)
        if self._uses_names:
            try:
                return self._run(statement, _name(statement), texts, decoders, timeout)
            except PostgresError as error:
                if error.fatal or error.sqlstate not in NOT_PREPARED:
                    raise
                self._uses_names = False
        return self._run(statement, b"", texts, decoders, timeout)

    def _run(
        self,
        statement: str,
        name: bytes,
        texts: Sequence[str | None],
        decoders: Sequence[Decoder],
        timeout: float,
    ) -> list[list[Any]]:
        context = Context(statement, columns=(), input_funcs=decoders)
        messages = _bind_and_execute(name, texts)
        if not name or statement not in self._prepared:
            messages = _parse(name, statement) + messages
        try:
            self._usock.settimeout(timeout)
            _write(self._sock, messages)
            _flush(self._sock)
            self.handle_messages(context)
        except (DatabaseError, InterfaceError, OSError) as error:
            # The server sends a FATAL error just before it closes the connection; report that error as the
            # cause. But if the statement was complete by then, it may have been committed.
            if isinstance(context.error, DatabaseError) and context.row_count == NOT_COMPLETED:
                raise PostgresError(context.error.args[0], statement) from None
            raise ConnectionLostError(error) from None
        rows: list[list[Any]] = context.rows
        return rows

    def handle_PARSE_COMPLETE(self, _data: bytes, context: Context) -> None:  # noqa: N802  # pg8000's name
        """Remember that the server has the statement, even if it fails afterwards."""
        self._prepared.add(context.statement)

    def is_closed_by_server(self) -> bool:
        """Return whether the server has closed this idle connection.

        On an idle connection, only its end makes the socket readable, except that unread TLS session tickets
        do so before the first statement.
        """
        poll = select.poll()
        poll.register(self._usock, select.POLLIN)
        return bool(poll.poll(0))

    def discard(self) -> None:
        """Close the connection and ignore errors: it may already be broken."""
        with suppress(InterfaceError, OSError):
            self.close()


def check_session(statuses: Mapping[str, str], parameters: Mapping[str, object]) -> None:
    """Raise SettingsError if a new session does not have the `SESSION_SETTINGS`, or its database is not UTF8.

    `statuses` are the settings that the server reported at connect (ParameterStatus); a setting that a pooler
    does not report is accepted. `parameters` are those of pg8000 that name the database and the user.
    """
    encoding = statuses.get("server_encoding", "UTF8")
    if encoding != "UTF8":
        raise SettingsError(
            f"the database {parameters['database']} has the encoding {encoding}: "
            "create one with TEMPLATE template0 ENCODING 'UTF8'"
        )
    for name, expected in SESSION_SETTINGS.items():
        # The server reports a DateStyle of two parts, such as "ISO, DMY". The second only affects input.
        value = statuses.get(name, expected)
        if value.split(",")[0] != expected and not (name == "TimeZone" and value in UTC_NAMES):
            raise SettingsError(
                f"the session has {name} '{value}', not '{expected}': "
                f"ALTER ROLE {parameters['user']} SET {name} = '{expected}'"
            )


@cache
def _name(statement: str) -> bytes:
    """Return the name of a statement, which no other statement has, whatever release or function it is of."""
    return sha256(statement.encode()).hexdigest()[:32].encode()


def _parse(name: bytes, statement: str) -> bytes:
    message: bytes = _create_message(PARSE, name + NULL_BYTE + statement.encode() + NULL_BYTE + ZERO_COUNT)
    return message


def _bind_and_execute(name: bytes, texts: Sequence[str | None]) -> bytes:
    """Return Bind, Execute and Sync with the unnamed portal and all values as text.

    pg8000's own methods add a Flush to each message, which splits the response of the server.
    """
    bind = [NULL_BYTE, name, NULL_BYTE, ZERO_COUNT, H_pack(len(texts))]
    for each in texts:
        text = None if each is None else each.encode()
        bind += [NULL_LENGTH] if text is None else [i_pack(len(text)), text]
    return b"".join([_create_message(BIND, b"".join([*bind, ZERO_COUNT])), EXECUTE_MSG, SYNC_MSG])
