"""The decorator `@statement`, which turns a function that builds a statement into one that runs it.

A statement is compiled once, when its module is imported. `sam build` does this ahead of time and deploys the
compiled statements (sam_build/compile_queries.py), because importing SQLAlchemy takes longer than the rest of
a cold start.
"""

import inspect
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TIMESTAMP, Boolean, Integer, String, UpdateBase, Uuid, bindparam
from sqlalchemy.dialects.postgresql.pg8000 import dialect
from sqlalchemy.sql.selectable import ReturnsRows
from sqlalchemy.types import TypeEngine

from common.database import P, Row, Statement, field_types

SQL_TYPES: dict[object, TypeEngine[Any]] = {
    bool: Boolean(),
    datetime: TIMESTAMP(timezone=True),
    int: Integer(),
    str: String(),
    str | None: String(),
    UUID: Uuid(),
}
DIALECT = dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy


def statement(row_type: type[Row]) -> Callable[[Callable[P, ReturnsRows]], Statement[P, Row]]:
    """Declare a statement whose rows are of `row_type`, a NamedTuple class.

    The decorated function builds the statement. It is called once, with a bound parameter for each of its
    keyword-only parameters; their annotations give the SQL types. The type of a positional parameter is a
    NamedTuple class, whose fields become parameters of the statement, too. The statement need not use every
    field. Where SQLAlchemy's types require a column, assign a parameter to a variable of type Any first,
    because its annotation is the type of its values.

    Raises TypeError when

    - the columns differ from the fields of `row_type` in name, order or type,
    - a parameter has a type that `SQL_TYPES` lacks,
    - a keyword-only parameter is not used,
    - a constant would be sent as a parameter (write it with `literal_column`).
    """

    def compile_statement(build: Callable[P, ReturnsRows]) -> Statement[P, Row]:
        name = build.__qualname__
        signature = inspect.signature(build).parameters.values()
        objects = [each.annotation for each in signature if each.kind is not each.KEYWORD_ONLY]
        keywords = {each.name: each.annotation for each in signature if each.kind is each.KEYWORD_ONLY}
        types = dict(item for kind in objects for item in kind.__annotations__.items()) | keywords
        unsupported = {parameter: kind for parameter, kind in types.items() if kind not in SQL_TYPES}
        if unsupported:
            raise TypeError(f"{name} has parameters of types that SQL_TYPES lacks: {unsupported}")
        bound: dict[str, Any] = {each: bindparam(each, type_=SQL_TYPES[kind]) for each, kind in types.items()}
        arguments = [kind._make(bound[field] for field in kind._fields) for kind in objects]
        call: Callable[..., ReturnsRows] = build  # mypy cannot know the parameters of `build`
        selectable = call(*arguments, **{keyword: bound[keyword] for keyword in keywords})
        compiled = DIALECT.statement_compiler(DIALECT, selectable)
        columns = [(each, column.type.python_type) for each, column in selectable.exported_columns.items()]
        fields = list(field_types(row_type).items())
        if columns != fields:
            raise TypeError(f"{name} selects {columns}, but {row_type.__qualname__} has {fields}")
        used = tuple(compiled.positiontup or ())
        if not set(used) <= types.keys():
            raise TypeError(f"{name} sends constants as parameters: {used}")
        if not keywords.keys() <= set(used):
            raise TypeError(f"{name} does not use its parameters: {sorted(keywords.keys() - set(used))}")
        # PostgreSQL allows INSERT, UPDATE and DELETE nowhere else.
        parts = [selectable, *(each.element for each in compiled.ctes or ())]
        writes = any(isinstance(each, UpdateBase) for each in parts)
        return Statement(row_type, " ".join(str(compiled).split()), used, writes=writes)

    return compile_statement
