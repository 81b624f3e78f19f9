"""The environment variables that steer the local run: PORT, DATABASE_URL and JWT_KEYS.

The layer checks the latter two, because every function would refuse what the layer refuses.
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
    """Checked settings; an empty `database_url` asks for a cluster of our own, port 0 for any free one."""

    port: int
    database_url: str
    jwt_keys: str

    @classmethod
    def read(cls) -> "Settings":
        """Return the settings in the environment; raises `LocalRunError` that names the one that is wrong."""
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
        with _in_one_line("DATABASE_URL is not a URL"):
            parse_database_url(text, local=True)
    return text


def _jwt_keys(text: str) -> str:
    if not text:
        return json.dumps({"local": secrets.token_urlsafe(MIN_KEY_BYTES)})
    with _in_one_line("JWT_KEYS has a key that is not Unicode"):
        parse_keys(text)
    return text


@contextmanager
def _in_one_line(otherwise: str) -> Iterator[None]:
    """Say what the functions would say, but nothing that quotes: the values may hold a password or a key."""
    try:
        yield
    except SettingsError as error:
        raise LocalRunError(str(error)) from None
    except ValueError:
        raise LocalRunError(otherwise) from None
