"""A pg8000 connection that runs a statement in one round trip.

Stock pg8000 takes three: it waits for the answer to Parse, then to Describe, then to Bind and Execute.
Between them a transaction pooler such as RDS Proxy or PgBouncer may hand the server connection to another
client, and each then reads the other's rows. Here all messages leave in one flush, with one Sync:
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
The server is not asked what the columns are, for whoever wrote the statement knows.

This leans on the internals of pg8000 1.31, which is pinned; a test counts the round trips on the wire.
"""

import select
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

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

NOT_COMPLETED = -1
NULL_VALUE = i_pack(-1)
ZERO_COUNT = H_pack(0)

Decoder = Callable[[str], Any]


class PostgresError(Exception):
    """The server answered with an error, and undid the statement (or never let us in)."""

    def __init__(self, report: dict[str, str]) -> None:
        super().__init__(report.get("M", ""))
        self.sqlstate = report.get("C", "")
        self.fatal = report.get("V") in {"FATAL", "PANIC"}


class ConnectionLostError(Exception):
    """The connection broke, or timed out, before the server said what became of the statement."""


class Connection(CoreConnection):  # type: ignore[misc]  # pg8000 has no types
    """A connection in autocommit: each statement is a transaction of its own."""

    def __init__(self, **parameters: object) -> None:
        """Connect; the parameters are pg8000's. Raises PostgresError or ConnectionLostError."""
        try:
            super().__init__(**parameters)
        except DatabaseError as error:
            raise PostgresError(error.args[0]) from None
        except (InterfaceError, OSError) as error:
            raise ConnectionLostError(str(error)) from None

    def execute(
        self, statement: str, values: Sequence[object], decoders: Sequence[Decoder], *, timeout: float
    ) -> list[list[Any]]:
        """Run one statement and return its rows; `timeout` bounds each wait, in seconds.

        `decoders` make a value of PostgreSQL's text, one for each column; NULL is None.

        Raises PostgresError when nothing was done and ConnectionLostError when that cannot be known. After a
        ConnectionLostError, and after a PostgresError that is fatal, the connection is of no more use.
        """
        context = Context(statement, columns=(), input_funcs=decoders)
        messages = _messages(statement, make_params(self.py_types, values))
        try:
            self._usock.settimeout(timeout)
            _write(self._sock, messages)
            _flush(self._sock)
            self.handle_messages(context)
        except (DatabaseError, InterfaceError, OSError) as error:
            # A FATAL error comes just before the connection closes: what the server said is the reason.
            # Unless the statement had completed by then, for its commit may have been on the way.
            if isinstance(context.error, DatabaseError) and context.row_count == NOT_COMPLETED:
                raise PostgresError(context.error.args[0]) from None
            raise ConnectionLostError(str(error)) from None
        rows: list[list[Any]] = context.rows
        return rows

    def is_closed_by_server(self) -> bool:
        """Tell whether the server has closed this idle connection: only then is there something to read."""
        poll = select.poll()
        poll.register(self._usock, select.POLLIN)
        return bool(poll.poll(0))

    def discard(self) -> None:
        """Close without caring whether the server still listens."""
        with suppress(InterfaceError, OSError):
            self.close()


def _messages(statement: str, parameters: Sequence[str | None]) -> bytes:
    """Return Parse, Bind, Execute and Sync, of an unnamed statement and portal, all values as text.

    Not by pg8000's methods, which add a Flush to each: the server would answer in pieces.
    """
    bind = [NULL_BYTE, NULL_BYTE, ZERO_COUNT, H_pack(len(parameters))]
    for parameter in parameters:
        text = None if parameter is None else parameter.encode()
        bind += [NULL_VALUE] if text is None else [i_pack(len(text)), text]
    return b"".join(
        [
            _create_message(PARSE, NULL_BYTE + statement.encode() + NULL_BYTE + ZERO_COUNT),
            _create_message(BIND, b"".join([*bind, ZERO_COUNT])),
            EXECUTE_MSG,
            SYNC_MSG,
        ]
    )
