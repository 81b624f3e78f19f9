"""Migrates the database that the environment names: one at a time, and without standing in anyone's way."""

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError

from common import aws
from common.settings import database_settings
from migrations import connect, roles, upgrade_to_head

# Any number, as long as nobody else takes it: it is the name of the lock.
LOCK: Final = 20261122
# A cluster that has paused takes some fifteen seconds to come back.
CONNECT_SECONDS: Final = 60
# Who waits for a lock on a table makes everyone after it wait as well: rather give up, and come again.
TABLE_LOCK_SECONDS: Final = 2
PAUSE_SECONDS: Final = 5.0
GRACE_SECONDS: Final = 5
LOCK_NOT_AVAILABLE: Final = "55P03"

log = logging.getLogger(__name__)


def migrate(seconds: float) -> str:
    """Bring the schema and the roles up to date within this time and return the revision.

    Raises DBAPIError when the database refuses or a lock cannot be had, and what a revision raises.
    """
    deadline = time.monotonic() + seconds
    engine = _engine(seconds)
    with _connected(engine, deadline) as guard, _only_one(guard, deadline):
        roles.prepare(guard)
        with engine.connect() as connection:
            revision = _upgrade(connection, deadline)
        roles.grant(guard)
    log.info("the schema is at revision %s", revision)
    return revision


def _upgrade(connection: Connection, deadline: float) -> str:
    while True:
        left = deadline - time.monotonic()
        with connection.begin():
            connection.exec_driver_sql(f"SET lock_timeout = '{TABLE_LOCK_SECONDS}s'")
            connection.exec_driver_sql(f"SET statement_timeout = '{max(1, int(left))}s'")
        try:
            return upgrade_to_head(connection)
        except DBAPIError as error:
            connection.rollback()
            if sqlstate(error) != LOCK_NOT_AVAILABLE or left < 2 * PAUSE_SECONDS:
                raise
            log.warning("a table is in use, trying again")
            time.sleep(PAUSE_SECONDS)


def sqlstate(error: DBAPIError) -> str:
    """Return the code that the server gave an error, empty when it is not the server's."""
    report = error.orig.args[0] if error.orig and error.orig.args else None
    return str(report.get("C", "")) if isinstance(report, dict) else ""


@contextmanager
def _only_one(connection: Connection, deadline: float) -> Iterator[None]:
    """Hold the lock of all migrations; it is the session's, and so ends with us however we end."""
    # What connecting has taken is not there any more: who waits for longer cannot say that it was in vain.
    left = deadline - time.monotonic()
    with connection.begin():
        connection.exec_driver_sql(f"SET lock_timeout = '{max(1, int(left))}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK})")
    yield
    with connection.begin():
        connection.exec_driver_sql(f"SELECT pg_advisory_unlock({LOCK})")


def _connected(engine: Engine, deadline: float) -> Connection:
    give_up = min(deadline, time.monotonic() + CONNECT_SECONDS)
    while True:
        try:
            return engine.connect()
        except InterfaceError:
            if time.monotonic() > give_up:
                raise
            log.warning("the database does not answer yet")
            time.sleep(PAUSE_SECONDS)


def _engine(seconds: float) -> Engine:
    secret = os.environ.get("DATABASE_SECRET")
    settings = database_settings()
    if secret:
        settings = settings._replace(password=json.loads(aws.secret_value(secret))["password"])
    # pg8000 has one time-out, for connecting and for every answer. It is longer than those of the server,
    # which says what was waited for.
    return connect.engine(settings, timeout=int(seconds) + GRACE_SECONDS)
