"""Statements of a test's own, run as those of the functions are."""

from typing import NamedTuple

from common.database import Query, Session


class NumberRow(NamedTuple):
    """A row of one number."""

    number: int


def ask(session: Session, sql: str, *values: object, writes: bool = False) -> list[list[int]]:
    """Run a statement whose rows are each of one number, or that has none."""
    query: Query[..., NumberRow] = Query(NumberRow, sql, (), writes=writes)
    return session.run(query, values)
