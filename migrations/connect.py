"""Connections of SQLAlchemy to the database."""

import logging
import ssl
from typing import Any, Final

import pg8000
from sqlalchemy import Engine, create_engine, pool

from common import aws
from common.connection import SESSION_SETTINGS, check_session
from common.settings import DatabaseSettings, SettingsError
from common.tls import database_tls

# invalid_authorization_specification, with which RDS rejects a password, and invalid_password.
LOGIN_REJECTED: Final = frozenset({"28000", "28P01"})
# The message of pg8000 about a server that refuses TLS.
TLS_REFUSED: Final = "Server refuses SSL"

log = logging.getLogger(__name__)


def engine(settings: DatabaseSettings, *, timeout: float | None = None) -> Engine:
    """Return an engine that opens a connection for each use, and closes it afterwards.

    `timeout` is in seconds and bounds connecting and each response; None means no limit. Connecting raises
    SettingsError if TLS fails, or if text or times would be written in another way than the functions do.
    """
    parameters = {
        "user": settings.user,
        "host": settings.host,
        "port": settings.port,
        "database": settings.name,
        "ssl_context": database_tls(settings),
        "timeout": timeout,
        "startup_params": SESSION_SETTINGS,
    }

    def connect() -> pg8000.Connection:
        connection = _log_in(settings, parameters)
        try:
            check_session(connection.parameter_statuses, parameters)
        except SettingsError:
            connection.close()
            raise
        return connection

    return create_engine("postgresql+pg8000://", creator=connect, poolclass=pool.NullPool)


def sqlstate(error: BaseException | None) -> str:
    """Return the SQLSTATE of an error that the server reported to pg8000, or an empty string."""
    report = error.args[0] if error and error.args else None
    return str(report.get("C", "")) if isinstance(report, dict) else ""


def _log_in(settings: DatabaseSettings, parameters: dict[str, Any]) -> pg8000.Connection:
    """Connect with the password, or with an IAM token if there is no password or it is rejected.

    RDS accepts only tokens from members of `rds_iam`, including indirect members. Since PostgreSQL 16, the
    role that creates `app` becomes a member of `app`, and `app` is a member of `rds_iam`: from then on, RDS
    may reject the password that the first migration used.
    """
    if settings.password or not settings.iam:
        try:
            return _connect(settings.password, parameters)
        except pg8000.DatabaseError as error:
            if not settings.iam or sqlstate(error) not in LOGIN_REJECTED:
                raise
            log.info("the server rejected the password, trying an IAM token")
    return _connect(aws.rds_auth_token(settings.host, settings.port, settings.user), parameters)


def _connect(password: str | None, parameters: dict[str, Any]) -> pg8000.Connection:
    server = f"the server at {parameters['host']}:{parameters['port']}"
    try:
        return pg8000.connect(password=password, **parameters)
    except pg8000.InterfaceError as error:
        if str(error) != TLS_REFUSED:
            raise
        raise SettingsError(
            f"{server} refuses TLS: in a local run, add sslmode=disable to DATABASE_URL to connect without it"
        ) from None
    except ssl.SSLCertVerificationError as error:
        raise SettingsError(
            f"the certificate of {server} is not trusted: {error.verify_message}; "
            "name the file with its certificate authority as sslrootcert in DATABASE_URL"
        ) from None
