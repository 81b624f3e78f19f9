"""A database session for each thread, as each execution environment has one."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from common import database
from common.database import ManagedConnection, Statement
from common.settings import database_settings


class SessionOfThread(threading.local):
    """Runs statements over the thread's own session, which is made when the thread first uses it."""

    def __init__(self, made: list[ManagedConnection]) -> None:
        self._session = ManagedConnection(database_settings())
        made.append(self._session)

    def run(self, query: Statement[..., Any], values: Sequence[object]) -> list[list[Any]]:
        """Run a statement."""
        return self._session.run(query, values)


@contextmanager
def sessions_of_threads() -> Iterator[None]:
    """Let the functions use the session of their thread; at the end, disconnect all."""
    made: list[ManagedConnection] = []
    with pytest.MonkeyPatch.context() as patch:
        per_thread = SessionOfThread(made)
        patch.setattr(database, "managed_connection", lambda: per_thread)
        yield
    for session in made:
        session.disconnect()
