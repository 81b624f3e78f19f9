"""Settings from environment variables, read and checked during init."""

import os
from contextlib import suppress
from typing import Final, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

DEFAULT_PORT: Final = 5432
MAX_DAILY_QUOTA: Final = 1_000_000
POSTGRESQL_SCHEMES: Final = frozenset({"postgresql", "postgres"})
DATABASE_PARAMETERS: Final = frozenset({"auth", "sslmode", "sslrootcert"})
LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class SettingsError(Exception):
    """A setting is missing, malformed or insecure. The message names it and says what to do."""


class DatabaseSettings(NamedTuple):
    """Where the database is and how to log in to it.

    Attributes:
        host: Name or address of the server or proxy.
        port: TCP port.
        name: Name of the database.
        user: Role to log in as.
        password: None if the role has none, or if only an IAM token is used.
        tls: Whether connections are encrypted and the server's certificate is verified.
        ca: PEM file with the certificate authorities to trust; None trusts those of the system.
        iam: Whether the role may log in with an IAM token.
        local: Whether this is a local run. Only then does a connection set the session's settings itself.

    """

    host: str
    port: int
    name: str
    user: str
    password: str | None
    tls: bool
    ca: str | None
    iam: bool
    local: bool


def env_str(name: str) -> str:
    """Return the value of an environment variable; raises SettingsError if it is unset or empty."""
    value = os.environ.get(name, "")
    if not value:
        raise SettingsError(f"{name} is not set: give the function this environment variable")
    return value


def env_int(name: str, *, minimum: int, maximum: int) -> int:
    """Return an integer from an environment variable; raises SettingsError if it is invalid."""
    value = env_str(name)
    if not value.isdecimal() or not minimum <= int(value) <= maximum:
        raise SettingsError(f"{name} is not a whole number from {minimum} to {maximum}")
    return int(value)


def daily_quota(name: str) -> int:
    """Return how often an account may do something in a day; raises SettingsError if it is invalid."""
    return env_int(name, minimum=1, maximum=MAX_DAILY_QUOTA)


def verified_writers_only() -> bool:
    """Return whether only users with a verified address may write."""
    return os.environ.get("VERIFIED_WRITERS_ONLY") == "true"


def is_local() -> bool:
    """Return whether this is a local run on a developer's machine, where insecure settings are allowed."""
    return os.environ.get("STAGE") == "local"


def database_settings() -> DatabaseSettings:
    """Return the settings in the environment variable `DATABASE_URL`; raises SettingsError."""
    return parse_database_url(env_str("DATABASE_URL"), local=is_local())


def parse_database_url(url: str, *, local: bool) -> DatabaseSettings:
    """Return the settings in a libpq URL; `local` allows a database without TLS.

    By default `sslmode` is `verify-full`, or `disable` in a local run with a database on this machine.
    `sslrootcert` names a PEM file. `auth=iam`, which libpq does not know, logs in with an IAM token.

    Raises SettingsError if the URL is malformed, has another parameter, or would not verify the server's
    certificate. The message never contains a user name or a password.
    """
    parts = _split_database_url(url)
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise SettingsError("DATABASE_URL has a port that is not a number from 0 to 65535") from None
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(parameters.keys() - DATABASE_PARAMETERS):
        known = ", ".join(sorted(DATABASE_PARAMETERS))
        raise SettingsError(f"DATABASE_URL has the unknown parameter {', '.join(unknown)}: use only {known}")
    if parameters.get("auth", "iam") != "iam":
        raise SettingsError("DATABASE_URL has an unknown value of auth: use iam, or leave it out")
    host = parts.hostname or ""
    return DatabaseSettings(
        host=host,
        port=port,
        name=unquote(parts.path.strip("/")),
        user=unquote(parts.username or ""),
        password=unquote(parts.password) if parts.password else None,
        tls=_uses_tls(parameters.get("sslmode"), host, local=local),
        ca=parameters.get("sslrootcert"),
        iam="auth" in parameters,
        local=local,
    )


def _split_database_url(url: str) -> SplitResult:
    """Return the parts of a URL that has a user name, a host and the name of a database."""
    parts = urlsplit("")
    with suppress(ValueError):  # for example a bracket in the password
        parts = urlsplit(url)
    scheme, _, driver = parts.scheme.partition("+")
    if scheme in POSTGRESQL_SCHEMES and driver:
        raise SettingsError(f"DATABASE_URL names the driver {driver}: write {scheme}:// without a driver")
    # An unescaped character in the password ends the part of the URL before the "@".
    if scheme in POSTGRESQL_SCHEMES and ("#" in url or "@" in parts.path + parts.query):
        raise SettingsError(
            "DATABASE_URL has a special character in the user name, the password or a parameter: "
            "percent-encode it (# as %23, / as %2F, ? as %3F, @ as %40)"
        )
    if scheme not in POSTGRESQL_SCHEMES or not (parts.hostname and parts.username and parts.path.strip("/")):
        raise SettingsError(
            "DATABASE_URL is not of the form postgresql://user:password@host:port/database, "
            "in which special characters are percent-encoded"
        )
    return parts


def _uses_tls(sslmode: str | None, host: str, *, local: bool) -> bool:
    if sslmode not in {None, "disable", "verify-full"}:
        raise SettingsError(f"DATABASE_URL has sslmode={sslmode}: use verify-full, or disable in a local run")
    if sslmode == "disable" and not local:
        raise SettingsError("DATABASE_URL turns TLS off: sslmode=disable is for STAGE=local only")
    return sslmode != "disable" and not (sslmode is None and local and host in LOOPBACK_HOSTS)
