"""The schema of the database, revision by revision."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from common.settings import parse_database_url
from migrations.connect import engine


def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring the database at a libpq URL, on a developer's machine, to a revision.

    Raises SettingsError and what alembic or the database raise.
    """
    with _connect(database_url) as connection:
        command.upgrade(_config(connection), revision)


def downgrade(database_url: str, revision: str) -> None:
    """Take the database at a libpq URL back to a revision, `base` for an empty one."""
    with _connect(database_url) as connection:
        command.downgrade(_config(connection), revision)


def upgrade_to_head(connection: Connection) -> str:
    """Bring the database of a connection, which is in no transaction, to the newest revision we know.

    Returns the revision that it is then at. One that we do not know is left alone: code that was taken back
    to an older version works on the newer schema, which the deployment before it made.
    """
    config = _config(connection)
    scripts = ScriptDirectory.from_config(config)
    current = _revision_of(connection)
    if current in {None, *(script.revision for script in scripts.walk_revisions())}:
        command.upgrade(config, "head")
    return str(_revision_of(connection))


def _revision_of(connection: Connection) -> str | None:
    revision = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    return revision


def _connect(database_url: str) -> Connection:
    return engine(parse_database_url(database_url, local=True)).connect()


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("file_template", "%%(year)d-%%(month).2d-%%(day).2d_%%(slug)s")
    config.attributes["connection"] = connection
    return config
