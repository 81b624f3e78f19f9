"""Statements of a test's own, run as those of the functions are."""

from typing import NamedTuple

from common.database import ManagedConnection, Statement


class NumberRow(NamedTuple):
    """A row of one number."""

    number: int


def ask(session: ManagedConnection, sql: str, *values: object, writes: bool = False) -> list[list[int]]:
    """Run a statement whose rows are each of one number, or that has none."""
    query: Statement[..., NumberRow] = Statement(NumberRow, sql, (), writes=writes)
    return session.run(query, values)
