"""The environment variables of the local run: PORT, DATABASE_URL and JWT_KEYS.

The layer's own code checks the latter two, because a value that it rejects would fail in every function.
"""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from common.keys import MIN_KEY_BYTES, parse_keys
from common.settings import SettingsError, parse_database_url
from local.errors import LocalRunError

_DEFAULT_PORT = "3000"
_LAST_PORT = 65535


@dataclass(frozen=True)
class Settings:
    """Checked settings; an empty `database_url` means the cluster of this clone, port 0 a free port."""

    port: int
    database_url: str
    jwt_keys: str

    @classmethod
    def read(cls) -> "Settings":
        """Return the settings in the environment; raises `LocalRunError` with the name of a wrong one."""
        return cls(
            port=_port(os.environ.get("PORT") or _DEFAULT_PORT),
            database_url=_database_url(os.environ.get("DATABASE_URL", "")),
            jwt_keys=_jwt_keys(os.environ.get("JWT_KEYS", "")),
        )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _LAST_PORT:
        raise LocalRunError(f"PORT is {text!r}, not a number from 0 to {_LAST_PORT}")
    return int(text)


def _database_url(text: str) -> str:
    if text:
        with _without_values("DATABASE_URL is not a URL"):
            parse_database_url(text, local=True)
    return text


def _jwt_keys(text: str) -> str:
    if not text:
        return json.dumps({"local": secrets.token_urlsafe(MIN_KEY_BYTES)})
    with _without_values("JWT_KEYS has a key that is not Unicode"):
        parse_keys(text)
    return text


@contextmanager
def _without_values(message: str) -> Iterator[None]:
    """Raise the layer's errors as `LocalRunError`, without the value: it may be a password or a key."""
    try:
        yield
    except SettingsError as error:
        raise LocalRunError(str(error)) from None
    except ValueError:
        raise LocalRunError(message) from None
