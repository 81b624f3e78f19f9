"""The settings of the local run, which docs/development.md lists.

They come from the environment, or from a file `.env` if the environment does not have them. The layer's own
code checks DATABASE_URL and JWT_KEYS, because a value that it rejects would fail in every function.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from common.keys import parse_keys
from common.settings import SettingsError, parse_database_url
from local.errors import LocalRunError

_DEFAULT_PORT = "3000"
_MAX_PORT = 65535
_DEFAULT_MAIL_FROM = "app@example.com"
_ORIGIN = re.compile(r"\*|https?://[^/\s']+")
_ADDRESS = re.compile(r"""[^@\s<>"',;:]+@[a-z0-9.-]+""")
_PAGE = re.compile(r"https?://[^\s#]+")


@dataclass(frozen=True)
class Settings:
    """Checked settings.

    Attributes:
        port: TCP port of the gateway; 0 stands for any free port.
        database_url: libpq URL; empty stands for the cluster of this clone.
        jwt_keys: Key ring that signs and verifies tokens, as JSON; empty stands for the key of this clone.
        cors_origin: Origin whose pages may read responses; by default `*`, which is every origin.
        mail_from: Address from which mail is sent; empty turns mail off.
        app_url: Address to which the links in mails lead; empty stands for the page of `examples/web`.
        attach_port: TCP port to which an editor attaches in debug mode; 0 stands for none.

    """

    port: int
    database_url: str
    jwt_keys: str
    cors_origin: str
    mail_from: str
    app_url: str
    attach_port: int

    @classmethod
    def read(cls, env_file: Path) -> "Settings":
        """Return the settings in the environment or in a file, which may be missing; the environment wins.

        Raises `LocalRunError`, which names the setting, when a value is invalid.
        """
        values = _file_values(env_file) | os.environ
        return cls(
            port=_port("PORT", values.get("PORT") or _DEFAULT_PORT),
            database_url=_database_url(values.get("DATABASE_URL", "")),
            jwt_keys=_jwt_keys(values.get("JWT_KEYS", "")),
            cors_origin=_cors_origin(values.get("CORS_ORIGIN") or "*"),
            mail_from=_mail_from(values.get("MAIL_FROM", _DEFAULT_MAIL_FROM)),
            app_url=_app_url(values.get("APP_URL", "")),
            attach_port=_port("ATTACH", values.get("ATTACH") or "0"),
        )


def _file_values(file: Path) -> dict[str, str]:
    try:
        values: Mapping[str, str | None] = dotenv_values(file, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise LocalRunError(f"cannot read {file}: {error}") from None
    return {name: value for name, value in values.items() if value is not None}


def _port(name: str, text: str) -> int:
    if not text.isdecimal() or int(text) > _MAX_PORT:
        raise LocalRunError(f"{name} is {text!r}, not a number from 0 to {_MAX_PORT}")
    return int(text)


def _database_url(text: str) -> str:
    if text:
        with _hide_rejected_value("DATABASE_URL is not a URL"):
            parse_database_url(text, local=True)
    return text


def _jwt_keys(text: str) -> str:
    if text:
        with _hide_rejected_value("JWT_KEYS has a key that is not Unicode"):
            parse_keys(text)
    return text


def _cors_origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise LocalRunError(f"CORS_ORIGIN is {text!r}, not an origin such as http://localhost:5173, or *")
    return text


def _mail_from(text: str) -> str:
    if text and not _ADDRESS.fullmatch(text):
        raise LocalRunError(f"MAIL_FROM is {text!r}, not an address such as app@example.com")
    return text


def _app_url(text: str) -> str:
    if text and not _PAGE.fullmatch(text):
        raise LocalRunError(f"APP_URL is {text!r}, not a page such as http://localhost:5173/account")
    return text


@contextmanager
def _hide_rejected_value(message: str) -> Iterator[None]:
    """Raise the layer's errors as `LocalRunError` without the value, which may be a password or a key."""
    try:
        yield
    except SettingsError as error:
        raise LocalRunError(str(error)) from None
    except ValueError:
        raise LocalRunError(message) from None
