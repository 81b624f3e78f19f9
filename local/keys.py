"""The token key of the local run. It is kept in a file, so that tokens stay valid after a restart."""

import json
import os
import secrets
from pathlib import Path

from common.keys import MIN_KEY_BYTES, parse_keys
from common.settings import SettingsError
from local.errors import LocalRunError


def load_keys(file: Path) -> str:
    """Return the key ring in a file, in the format of JWT_KEYS; create the file if it is missing.

    Raises `LocalRunError` when the file cannot be written or has no key ring.
    """
    try:
        return _create(file)
    except FileExistsError:
        return _read(file)
    except OSError as error:
        raise LocalRunError(f"cannot write {file}: {error.strerror}; set JWT_KEYS") from None


def _create(file: Path) -> str:
    keys = json.dumps({"local": secrets.token_urlsafe(MIN_KEY_BYTES)})
    file.parent.mkdir(exist_ok=True)
    # Only this account may read the file. O_EXCL keeps an existing file as it is.
    with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as stream:
        stream.write(keys)
    return keys


def _read(file: Path) -> str:
    try:
        keys = file.read_text("utf-8")
        parse_keys(keys)
    except (OSError, ValueError, SettingsError):
        raise LocalRunError(f"{file} has no token key: delete it") from None
    return keys
