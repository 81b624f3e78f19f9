"""Connections of the kind that the functions use, for tests."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from common import database
from common.database import ManagedConnection, Statement
from common.settings import database_settings


class NumberRow(NamedTuple):
    """A row with one number."""

    number: int


def run_sql(
    connection: ManagedConnection, sql: str, *values: object, writes: bool = False
) -> list[list[int]]:
    """Run a statement whose rows have one number each, or that returns no rows."""
    statement: Statement[..., NumberRow] = Statement(NumberRow, sql, (), writes=writes)
    return connection.run(statement, values)


class ConnectionOfThread(threading.local):
    """Runs statements over a connection of the current thread, which is opened when it is first needed."""

    def __init__(self, opened: list[ManagedConnection]) -> None:
        self._connection = ManagedConnection(database_settings())
        opened.append(self._connection)

    def run(self, statement: Statement[..., Any], values: Sequence[object]) -> list[list[Any]]:
        """Run a statement."""
        return self._connection.run(statement, values)


@contextmanager
def connection_per_thread() -> Iterator[None]:
    """Give each thread a connection of its own, as if it were an execution environment."""
    opened: list[ManagedConnection] = []
    per_thread = ConnectionOfThread(opened)
    with patch.object(database, "managed_connection", lambda: per_thread):
        yield
    for connection in opened:
        connection.disconnect()
