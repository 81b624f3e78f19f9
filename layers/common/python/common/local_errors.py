"""Reports of unexpected errors for a developer, only in a local run because they quote input and SQL."""

import sys
import traceback
from types import TracebackType

from aws_lambda_powertools.event_handler.openapi.exceptions import ResponseValidationError

from common.errors import PostgresError

MISSING_IN_SCHEMA = {"42P01": "undefined_table", "42703": "undefined_column"}
# Characters of the statement that are shown on each side of the error.
EXCERPT_CHARACTERS = 60


def report(error: Exception) -> None:
    """Write the traceback to standard error, with what PostgreSQL or the validation of a response said."""
    if isinstance(error, PostgresError):
        for note in _notes(error):
            error.add_note(note)
    if isinstance(error, ResponseValidationError):
        for problem in error.errors():
            error.add_note(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}")
    without_framework = error.with_traceback(_below_powertools(error.__traceback__))
    sys.stderr.write("".join(traceback.format_exception(without_framework)))


def _below_powertools(trace: TracebackType | None) -> TracebackType | None:
    """Return the traceback without its first frames, which are Powertools'; all of it if it has no others."""
    inner = trace
    while inner and "aws_lambda_powertools" in inner.tb_frame.f_code.co_filename:
        inner = inner.tb_next
    return inner or trace


def _notes(error: PostgresError) -> list[str]:
    notes = [_excerpt(error.statement, int(error.fields["P"]))] if "P" in error.fields else []
    names = {"D": "DETAIL", "H": "HINT", "W": "CONTEXT"}
    notes += [f"{name}: {error.fields[field]}" for field, name in names.items() if field in error.fields]
    if name := MISSING_IN_SCHEMA.get(error.sqlstate):
        notes.append(f"{error.sqlstate} {name}: is a revision missing? Restart `make dev` to migrate.")
    else:
        notes.append(f"SQLSTATE: {error.sqlstate}")
    return notes


def _excerpt(statement: str, position: int) -> str:
    """Return the line of the statement with the error and a caret below it; `position` counts from 1."""
    before, after = statement[: position - 1], statement[position - 1 :]
    before = before.rpartition("\n")[2][-EXCERPT_CHARACTERS:]
    after = after.partition("\n")[0][:EXCERPT_CHARACTERS]
    return f"    {before}{after}\n    {' ' * len(before)}^"
