"""The revisions: a line from nothing to the models and back."""

import re
from datetime import date
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import InterfaceError

import migrations
from common.settings import SettingsError
from tests.migrations.catalog import PROGRAMS, TABLES, describe, engine

EVERYTHING = TABLES | PROGRAMS


def revisions() -> list[Script]:
    """Return the revisions, oldest first."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return list(ScriptDirectory.from_config(config).walk_revisions())[::-1]


def test_they_stand_in_one_line() -> None:
    line = revisions()
    assert [script.down_revision for script in line] == [None, *(script.revision for script in line[:-1])]


def test_their_files_are_named_by_date_and_subject_in_order() -> None:
    names = [Path(script.path).name for script in revisions()]
    assert names == sorted(names)
    for script, name in zip(revisions(), names, strict=True):
        matched = re.fullmatch(r"(\d{4}-\d{2}-\d{2})_[a-z0-9_]+\.py", name)
        assert matched
        assert script.revision.startswith(date.fromisoformat(matched[1]).strftime("%Y%m%d"))
        assert script.doc


def test_there_and_back_twice_leaves_nothing_and_builds_the_same(empty_url: str) -> None:
    empty = describe(empty_url, EVERYTHING)
    assert empty["columns"] == []
    migrations.upgrade(empty_url)
    built = describe(empty_url, EVERYTHING)
    assert built["columns"]
    for _ in range(2):
        migrations.downgrade(empty_url, "base")
        assert describe(empty_url, EVERYTHING) == empty
        migrations.upgrade(empty_url)
        assert describe(empty_url, EVERYTHING) == built


def test_each_revision_can_be_taken_back_by_itself(empty_url: str) -> None:
    for script in revisions():
        before = describe(empty_url, EVERYTHING)
        migrations.upgrade(empty_url, script.revision)
        after = describe(empty_url, EVERYTHING)
        assert after != before
        migrations.downgrade(empty_url, "-1")
        assert describe(empty_url, EVERYTHING) == before
        migrations.upgrade(empty_url, script.revision)
        assert describe(empty_url, EVERYTHING) == after


def test_an_index_that_was_given_up_half_way_is_made_anew(empty_url: str) -> None:
    migrations.upgrade(empty_url)
    built = describe(empty_url, EVERYTHING)
    migrations.downgrade(empty_url, "20261122c")
    with engine(empty_url).begin() as connection:
        connection.execute(
            text("CREATE INDEX ix_idempotency_keys_user_id_created_at ON idempotency_keys (key)")
        )
    migrations.upgrade(empty_url)
    assert describe(empty_url, EVERYTHING) == built


def test_a_database_that_is_up_to_date_stays_as_it_is(empty_url: str) -> None:
    migrations.upgrade(empty_url)
    built = describe(empty_url, EVERYTHING)
    migrations.upgrade(empty_url)
    assert describe(empty_url, EVERYTHING) == built


def test_a_url_means_what_it_means_to_the_functions(empty_url: str) -> None:
    migrations.upgrade(f"{empty_url}?sslmode=disable")
    with pytest.raises(InterfaceError, match="SSL"):
        migrations.upgrade(f"{empty_url}?sslmode=verify-full")
    with pytest.raises(SettingsError, match="sslmode=require"):
        migrations.upgrade(f"{empty_url}?sslmode=require")
