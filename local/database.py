"""Migrates the database of the local run, and extracts the message of a database error."""

import socket

from common.settings import DatabaseSettings, parse_database_url
from local.errors import LocalRunError

_CONNECT_SECONDS = 5.0
_IMPORT_ADVICE = (
    ". It is a database of the course application: run `make dev` without DATABASE_URL, and then"
    " `make import FROM=postgresql://...` in another terminal"
)
_TWO_CHAINS = (
    "two files in migrations/versions have the same down_revision: let the newer one follow the other"
)


def migrate(url: str) -> None:
    """Migrate the database at a libpq URL to the newest revision.

    Raises `LocalRunError` when the database cannot be reached or a revision fails.
    """
    settings = parse_database_url(url, local=True)
    place = f"{settings.host}:{settings.port}"
    try:
        socket.create_connection((settings.host, settings.port), _CONNECT_SECONDS).close()
    except OSError as error:
        raise LocalRunError(f"cannot connect to a database at {place}: {error.strerror or error}") from None
    try:
        from migrations import runner  # noqa: PLC0415 - an error of this import is reported, too

        runner.migrate(settings)
    except Exception as error:
        why = _TWO_CHAINS if _is_of_two_chains(error) else reason(error)
        if "another application" in why and _is_course_database(settings):
            why += _IMPORT_ADVICE
        raise LocalRunError(f"cannot migrate {settings.name} at {place}: {why}") from error


def _is_of_two_chains(error: Exception) -> bool:
    from alembic.script.revision import MultipleHeads  # noqa: PLC0415 - slow, and only needed after an error

    return isinstance(error.__cause__, MultipleHeads)


def _is_course_database(settings: DatabaseSettings) -> bool:
    from local.course_import import is_course_database  # noqa: PLC0415 - only needed after an error

    try:
        return is_course_database(settings)
    except LocalRunError:
        return False


def reason(error: BaseException) -> str:
    """Return the server's message if the exception or one of its causes has it, otherwise the first line.

    pg8000 raises the fields of PostgreSQL's ErrorResponse as a mapping, in which "M" is the message.
    """
    cause: BaseException | None = error
    while cause is not None:
        fields = cause.args[0] if cause.args else None
        if isinstance(fields, dict) and "M" in fields:
            return str(fields["M"])
        cause = cause.__cause__ or cause.__context__
    return next(iter(str(error).splitlines()), type(error).__name__)
