"""The database of the local run: brought up to date before anything is served from it."""

import socket

from common.settings import parse_database_url
from local.errors import LocalRunError

_CONNECT_SECONDS = 5.0


def migrate(url: str) -> None:
    """Bring the schema of the database at a libpq URL up to date.

    Raises `LocalRunError` when it cannot be reached or refuses.
    """
    settings = parse_database_url(url, local=True)
    place = f"{settings.host}:{settings.port}"
    try:
        socket.create_connection((settings.host, settings.port), _CONNECT_SECONDS).close()
    except OSError as error:
        raise LocalRunError(f"no database answers at {place}: {error.strerror or error}") from None
    try:
        import migrations  # noqa: PLC0415 - what is wrong with a revision is told, too

        migrations.upgrade(url)
    except Exception as error:
        raise LocalRunError(f"cannot migrate {settings.name} at {place}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """Return what the server says, which drivers wrap in a mapping of fields, else the first line."""
    cause: BaseException | None = error
    while cause is not None:
        fields = cause.args[0] if cause.args else None
        if isinstance(fields, dict) and "M" in fields:
            return str(fields["M"])
        cause = cause.__cause__ or cause.__context__
    return next(iter(str(error).splitlines()), type(error).__name__)
