"""What the environment says, read and checked once, when a function starts."""

import os
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class SettingsError(Exception):
    """An environment variable is missing, malformed or too weak; the message says which and what to do."""


class DatabaseSettings(NamedTuple):
    """Where PostgreSQL is and how to be let in; `password` is None where none or an IAM token is used."""

    host: str
    port: int
    name: str
    user: str
    password: str | None
    tls: bool
    ca: str | None
    iam: bool


def env_str(name: str) -> str:
    """Return the value of the environment variable `name`; SettingsError when it is unset or empty."""
    value = os.environ.get(name, "")
    if not value:
        raise SettingsError(f"{name} is not set: give the function this environment variable")
    return value


def env_int(name: str, *, minimum: int, maximum: int) -> int:
    """Return the environment variable `name` as a number; SettingsError outside `minimum` to `maximum`."""
    value = env_str(name)
    if not value.isdecimal() or not minimum <= int(value) <= maximum:
        raise SettingsError(f"{name} is not a whole number from {minimum} to {maximum}")
    return int(value)


def is_local() -> bool:
    """Tell whether this is a run on a developer's machine, where weaker settings are allowed."""
    return os.environ.get("STAGE") == "local"


def database_settings() -> DatabaseSettings:
    """Read `DATABASE_URL`, a libpq URL; SettingsError when it is malformed or would not verify TLS.

    `sslmode` is `verify-full` unless stated; `disable` is refused outside a local run. `sslrootcert` names a
    PEM file of the certificate authorities to trust in place of the system's. `auth=iam`, our own addition,
    signs an IAM token at each connect in place of a password.
    """
    url = urlsplit(env_str("DATABASE_URL"))
    options = {name: values[-1] for name, values in parse_qs(url.query).items()}
    try:
        port = url.port or 5432
    except ValueError:
        raise SettingsError("DATABASE_URL has a port that is not a number from 0 to 65535") from None
    if url.scheme not in {"postgresql", "postgres"} or not (
        url.hostname and url.username and url.path.strip("/")
    ):
        raise SettingsError("DATABASE_URL is not of the form postgresql://user:password@host:port/database")
    return DatabaseSettings(
        host=url.hostname,
        port=port,
        name=unquote(url.path.strip("/")),
        user=unquote(url.username),
        password=unquote(url.password) if url.password else None,
        tls=_uses_tls(options.get("sslmode"), url.hostname),
        ca=options.get("sslrootcert"),
        iam=options.get("auth") == "iam",
    )


def _uses_tls(sslmode: str | None, host: str) -> bool:
    if sslmode not in {None, "disable", "verify-full"}:
        raise SettingsError(f"DATABASE_URL has sslmode={sslmode}: use verify-full, or disable in a local run")
    if sslmode == "disable" and not is_local():
        raise SettingsError("DATABASE_URL turns TLS off: sslmode=disable is for STAGE=local only")
    return sslmode != "disable" and not (sslmode is None and is_local() and host in LOOPBACK)
