"""The database of the local run: brought up to date before anything is served from it."""

import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

from local.errors import LocalRunError

_DEFAULT_PORT = 5432
_CONNECT_SECONDS = 5.0


def migrate(project: Path, url: str) -> None:
    """Bring the schema of the database at a libpq URL up to date.

    Raises `LocalRunError` when it cannot be reached or refuses.
    """
    parts = urlsplit(url)
    place = f"{parts.hostname}:{parts.port or _DEFAULT_PORT}"
    try:
        socket.create_connection((parts.hostname, parts.port or _DEFAULT_PORT), _CONNECT_SECONDS).close()
    except OSError as error:
        raise LocalRunError(f"no database answers at {place}: {error.strerror or error}") from None
    # Migrations compare with the models, which deployed code finds in its layer.
    sys.path.append(str(project / "layers" / "common" / "python"))
    try:
        import migrations  # noqa: PLC0415 - it needs the path above

        migrations.upgrade(url)
    except Exception as error:
        raise LocalRunError(f"cannot migrate {parts.path[1:]} at {place}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """Return what the server says, which drivers wrap in a mapping of fields, else the first line."""
    cause: BaseException | None = error
    while cause is not None:
        fields = cause.args[0] if cause.args else None
        if isinstance(fields, dict) and "M" in fields:
            return str(fields["M"])
        cause = cause.__cause__ or cause.__context__
    return next(iter(str(error).splitlines()), type(error).__name__)
