"""Turns a function that builds an SQLAlchemy statement into one that runs it.

Each statement is compiled once, when its module is imported. `sam build` does that ahead of time and ships
the result (sam_build/compile_queries.py): a deployed function never imports SQLAlchemy, which would take
longer than the rest of its cold start.
"""

import inspect
from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Integer, String, UpdateBase, Uuid, bindparam
from sqlalchemy.dialects.postgresql.pg8000 import dialect
from sqlalchemy.sql.selectable import ReturnsRows
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.types import TypeEngine

from common.database import P, Row, Statement, field_types

SQL_TYPES: dict[object, TypeEngine[Any]] = {
    bool: Boolean(),
    int: Integer(),
    str: String(),
    str | None: String(),
    UUID: Uuid(),
}
DIALECT = dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # not typed by SQLAlchemy


def statement(row_type: type[Row]) -> Callable[[Callable[P, ReturnsRows]], Statement[P, Row]]:
    """Declare a statement whose rows are of `row`, a NamedTuple class.

    The decorated function is called once, with a bound parameter for each of its keyword-only parameters;
    their annotations give the SQL types. Raises TypeError when the columns are not the fields of `row`, in
    order and of their types, when a parameter is of a type that `SQL_TYPES` lacks, or when a constant would
    travel as a parameter (write it with `literal_column`).
    """

    def compile_statement(build: Callable[P, ReturnsRows]) -> Statement[P, Row]:
        annotations = {name: each.annotation for name, each in inspect.signature(build).parameters.items()}
        unknown = {name: kind for name, kind in annotations.items() if kind not in SQL_TYPES}
        if unknown:
            raise TypeError(f"{build.__qualname__} has parameters of types that SQL_TYPES lacks: {unknown}")
        parameters: dict[str, Any] = {
            name: bindparam(name, type_=SQL_TYPES[kind]) for name, kind in annotations.items()
        }
        selectable: ReturnsRows = build(**parameters)  # type: ignore[call-arg]  # mypy cannot know their names
        compiled = DIALECT.statement_compiler(DIALECT, selectable)
        columns = [(name, column.type.python_type) for name, column in selectable.exported_columns.items()]
        fields = list(field_types(row_type).items())
        names = tuple(compiled.positiontup or ())
        if columns != fields:
            raise TypeError(
                f"{build.__qualname__} selects {columns}, but {row_type.__qualname__} has {fields}"
            )
        if not parameters.keys() >= set(names):
            raise TypeError(f"{build.__qualname__} sends constants as parameters: {names}")
        writes = any(isinstance(element, UpdateBase) for element in iterate(selectable))
        return Statement(row_type, " ".join(str(compiled).split()), names, writes=writes)

    return compile_statement
