"""Runs the revisions: one migration of a database at a time, without blocking simultaneous requests."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError, InterfaceError

from common.models import Base
from common.settings import DatabaseSettings
from migrations import connect, roles

# The longest that Lambda runs a function: a revision that takes longer cannot be deployed.
MAX_SECONDS: Final = 15 * 60
# An Aurora cluster that paused accepts connections again after about 15 s.
CONNECT_SECONDS: Final = 60
CLIENT_TIMEOUT_MARGIN_SECONDS: Final = 5
# The key of the advisory lock: any number that nothing else in the database uses.
LOCK_KEY: Final = 20261122
LOCK_POLL_SECONDS: Final = 0.5
# Requests queue behind a statement that waits for a lock on their table. So wait briefly, and try again.
TABLE_LOCK_TIMEOUT_SECONDS: Final = 2
RETRY_SECONDS: Final = 5.0
# lock_not_available, and deadlock_detected: requests may lock the tables of a revision in another order.
RETRYABLE: Final = frozenset({"55P03", "40P01"})
# How many tables an error message lists.
MAX_NAMES: Final = 5

log = logging.getLogger(__name__)


class MigrationError(Exception):
    """The migration cannot run; the message says why, and what to do."""


def migrate(settings: DatabaseSettings, *, seconds: float = MAX_SECONDS, manages_roles: bool = False) -> str:
    """Bring the database to the newest revision and return the revision that it has then.

    `seconds` bounds everything: connecting, waiting for another migration and running the revisions.
    `manages_roles` also creates the role of the functions and grants it what it needs (`migrations.roles`).
    A database with a revision that this code does not know stays as it is: the code was rolled back, and the
    newer schema works with it.

    Raises MigrationError, DBAPIError if the database cannot be reached or rejects a statement, and what a
    revision raises.
    """
    deadline = time.monotonic() + seconds
    # pg8000 has one timeout, for connecting and for each response. The server's timeouts come first, because
    # the server reports what took too long.
    engine = connect.engine(settings, timeout=int(seconds) + CLIENT_TIMEOUT_MARGIN_SECONDS)
    with (
        _connect(engine, deadline) as lock_connection,
        _lock(lock_connection, deadline),
        engine.connect() as connection,
    ):
        if manages_roles:
            roles.prepare(connection)
        revision = _upgrade(connection, deadline)
        if manages_roles:
            roles.grant(connection)
    log.info("the schema is at revision %s", revision)
    return revision


def alembic_config(connection: Connection) -> Config:
    """Return what alembic's commands need to work on the database of a connection."""
    config = Config()
    # Alembic interpolates the values of options: a percent sign in the path has to be doubled.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("file_template", "%%(year)d-%%(month).2d-%%(day).2d_%%(slug)s")
    config.attributes["connection"] = connection
    return config


def _connect(engine: Engine, deadline: float) -> Connection:
    give_up_at = min(deadline, time.monotonic() + CONNECT_SECONDS)
    while True:
        try:
            return engine.connect()
        except InterfaceError:
            if time.monotonic() > give_up_at:
                raise
            log.warning("the database does not respond yet")
            time.sleep(RETRY_SECONDS)


@contextmanager
def _lock(connection: Connection, deadline: float) -> Iterator[None]:
    """Hold the lock of all migrations of this database; raises MigrationError at the deadline.

    The lock is polled outside of any transaction, because waiting in `pg_advisory_lock` keeps a snapshot:
    CREATE INDEX CONCURRENTLY of the migration that holds the lock would wait for that snapshot, and neither
    would continue. The lock belongs to the connection, so that a killed process releases it.
    """
    connection.execution_options(isolation_level="AUTOCOMMIT")
    is_first_attempt = True
    while not connection.scalar(text(f"SELECT pg_try_advisory_lock({LOCK_KEY})")):
        if time.monotonic() > deadline:
            raise MigrationError("another migration of this database is still running: try again later")
        if is_first_attempt:
            log.warning("waiting for another migration of this database")
            is_first_attempt = False
        time.sleep(LOCK_POLL_SECONDS)
    yield
    connection.exec_driver_sql(f"SELECT pg_advisory_unlock({LOCK_KEY})")


def _upgrade(connection: Connection, deadline: float) -> str:
    while True:
        seconds_left = deadline - time.monotonic()
        with connection.begin():
            connection.exec_driver_sql(f"SET lock_timeout = '{TABLE_LOCK_TIMEOUT_SECONDS}s'")
            connection.exec_driver_sql(f"SET statement_timeout = '{max(1, int(seconds_left))}s'")
        try:
            return _upgrade_to_head(connection)
        except DBAPIError as error:
            connection.rollback()
            if connect.sqlstate(error.orig) not in RETRYABLE or seconds_left < 2 * RETRY_SECONDS:
                raise
            log.warning("a table is in use, trying again in %g s", RETRY_SECONDS)
            time.sleep(RETRY_SECONDS)


def _upgrade_to_head(connection: Connection) -> str:
    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    revision = _revision(connection)
    if revision not in known:
        _check_owner(connection, revision)
    if revision is None or revision in known:
        command.upgrade(config, "head")
    else:
        log.warning("the database has the revision %s, which this code does not know", revision)
    return str(_revision(connection))


def _revision(connection: Connection) -> str | None:
    revision = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    return revision


def _check_owner(connection: Connection, revision: str | None) -> None:
    """Raise MigrationError if the tables are those of another application.

    A database without a revision must be empty. One with a revision that this code does not know must have
    the tables of this code, because newer code only adds to them.
    """
    inspector = inspect(connection)
    tables = set(inspector.get_table_names()) - {"alembic_version"}
    database = connection.scalar(text("SELECT current_database()"))
    connection.rollback()
    if revision is None and tables:
        found = f"tables of another application ({', '.join(sorted(tables)[:MAX_NAMES])})"
    elif revision is not None and not tables >= Base.metadata.tables.keys():
        found = f"the revisions of another application ({revision})"
    else:
        return
    raise MigrationError(f"the database {database} has {found}: use an empty database")
