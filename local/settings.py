"""The environment variables that steer the local run: PORT, DATABASE_URL and JWT_KEYS."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from local.errors import LocalRunError

_DEFAULT_PORT = "3000"
_LAST_PORT = 65535
_LEAST_KEY_BYTES = 32


@dataclass(frozen=True)
class Settings:
    """Checked settings; an empty `database_url` asks for a cluster of our own, port 0 for any free one."""

    port: int
    database_url: str
    jwt_keys: str

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Settings":
        """Return the settings in `environment`; raises `LocalRunError` that names the one that is wrong."""
        return cls(
            port=_port(environment.get("PORT") or _DEFAULT_PORT),
            database_url=_database_url(environment.get("DATABASE_URL", "")),
            jwt_keys=_jwt_keys(environment.get("JWT_KEYS", "")),
        )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _LAST_PORT:
        raise LocalRunError(f"PORT is {text!r}, not a number from 0 to {_LAST_PORT}")
    return int(text)


def _database_url(text: str) -> str:
    # The URL may hold a password: no message quotes it.
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        complete = bool(parts.hostname and parts.path.strip("/") and parts.port != 0)
    except ValueError as error:
        raise LocalRunError(f"DATABASE_URL is not a URL: {error}") from None
    if parts.scheme not in {"postgresql", "postgres"} or not complete:
        raise LocalRunError("DATABASE_URL is not of the form postgresql://user:password@host:port/database")
    return text


def _jwt_keys(text: str) -> str:
    if not text:
        return json.dumps({"local": secrets.token_urlsafe(_LEAST_KEY_BYTES)})
    try:
        keys = json.loads(text)
    except ValueError:
        raise LocalRunError("JWT_KEYS is not JSON; it is an object of kid to key") from None
    if not isinstance(keys, dict) or not keys or not all(isinstance(key, str) for key in keys.values()):
        raise LocalRunError("JWT_KEYS is not a JSON object of kid to key with at least one key")
    for kid, key in keys.items():
        if len(key.encode(errors="replace")) < _LEAST_KEY_BYTES:
            raise LocalRunError(f"the key {kid!r} in JWT_KEYS is shorter than {_LEAST_KEY_BYTES} bytes")
    return text
