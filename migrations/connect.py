"""Connections of SQLAlchemy to the database."""

import logging
from typing import Any, Final

import pg8000.dbapi
from sqlalchemy import Engine, create_engine, pool

from common import aws
from common.settings import DatabaseSettings
from common.tls import database_tls

# invalid_authorization_specification, with which RDS rejects a password, and invalid_password.
LOGIN_REJECTED: Final = frozenset({"28000", "28P01"})

log = logging.getLogger(__name__)


def engine(settings: DatabaseSettings, *, timeout: float | None = None) -> Engine:
    """Return an engine that opens a connection for each use, and closes it afterwards.

    `timeout` is in seconds and bounds connecting and each response; None waits without end.
    """
    parameters = {
        "user": settings.user,
        "host": settings.host,
        "port": settings.port,
        "database": settings.name,
        "ssl_context": database_tls(settings),
        "timeout": timeout,
    }
    return create_engine(
        "postgresql+pg8000://", creator=lambda: _log_in(settings, parameters), poolclass=pool.NullPool
    )


def sqlstate(error: BaseException | None) -> str:
    """Return the SQLSTATE of an error that the server reported to pg8000, or an empty string."""
    report = error.args[0] if error and error.args else None
    return str(report.get("C", "")) if isinstance(report, dict) else ""


def _log_in(settings: DatabaseSettings, parameters: dict[str, Any]) -> pg8000.dbapi.Connection:
    """Connect with the password, or with an IAM token if there is no password or it is rejected.

    RDS accepts only tokens from members of `rds_iam`, including indirect members. Since PostgreSQL 16, the
    role that creates `app` becomes a member of `app`, and `app` is a member of `rds_iam`: from then on, RDS
    may reject the password that the first migration used.
    """
    if settings.password or not settings.iam:
        try:
            return pg8000.dbapi.connect(password=settings.password, **parameters)
        except pg8000.dbapi.DatabaseError as error:
            if not settings.iam or sqlstate(error) not in LOGIN_REJECTED:
                raise
            log.info("the server rejected the password, trying an IAM token")
    token = aws.rds_auth_token(settings.host, settings.port, settings.user)
    return pg8000.dbapi.connect(password=token, **parameters)
