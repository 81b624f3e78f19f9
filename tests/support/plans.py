"""Plans of statements: what the server reads for them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pg8000.native import literal

from common.connection import PLANNER_SETTINGS
from common.database import Statement
from posts.paging import FIRST_PAGE, Cursor, Sort
from posts.rows import ListParameters
from tests.support.database import Database


def page(after: Cursor, *, limit: int = 10, author: int = 0, term: str = "") -> ListParameters:
    """Return the parameters of a list that begins after a position."""
    return ListParameters(author, term, limit, 0, *after)


def first_page(sort: Sort, *, limit: int = 10, author: int = 0, term: str = "") -> ListParameters:
    """Return the parameters of the first page of a list."""
    return page(FIRST_PAGE[sort], limit=limit, author=author, term=term)


def plan_of(
    database: Database, statement: Statement[Any, Any], *parameters: NamedTuple
) -> list[dict[str, Any]]:
    """Run a statement as the functions do, roll it back, and return the nodes of its plan."""
    values = {name: value for each in parameters for name, value in each._asdict().items()}
    return plan_with(database, statement, values)


def plan_with(
    database: Database, statement: Statement[Any, Any], values: Mapping[str, object]
) -> list[dict[str, Any]]:
    """Do the same with the values of the parameters by name."""
    arguments = ", ".join(literal(values[name]) for name in statement.parameters)
    call = f"planned ({arguments})" if arguments else "planned"
    settings = "; ".join(f"SET LOCAL {name} = {value}" for name, value in PLANNER_SETTINGS.items())
    database.run(f"BEGIN; {settings}; PREPARE planned AS {statement.sql}")
    [[report]] = database.run(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE {call}")
    database.run("DEALLOCATE planned; ROLLBACK")
    return list(_nodes((json.loads(report) if isinstance(report, str) else report)[0]["Plan"]))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def rows_read(nodes: list[dict[str, Any]], table: str) -> int:
    """Return the number of rows that were read from a table, whether they met a filter or not."""
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes
        if node.get("Relation Name") == table
    )
