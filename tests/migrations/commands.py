"""Alembic's commands, and the revisions in their order."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory

import migrations
from migrations.runner import alembic_config
from tests.migrations.catalog import engine


def upgrade(url: str, revision: str) -> None:
    """Apply the revisions up to one of them to the database at a URL."""
    with engine(url).connect() as connection:
        command.upgrade(alembic_config(connection), revision)


def downgrade(url: str, revision: str) -> None:
    """Undo the revisions after one of them; `base` undoes all of them, `-1` the newest one."""
    with engine(url).connect() as connection:
        command.downgrade(alembic_config(connection), revision)


def revisions() -> list[Script]:
    """Return the revisions, oldest first."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return list(ScriptDirectory.from_config(config).walk_revisions())[::-1]


def head() -> str:
    """Return the identifier of the newest revision."""
    return revisions()[-1].revision
