"""The revisions: one sequence, from an empty database to the models and back."""

import re
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import text

from common.settings import SettingsError, parse_database_url
from migrations.runner import migrate
from tests.migrations.catalog import PROGRAMS, TABLES, describe, engine
from tests.migrations.commands import downgrade, head, revisions, upgrade

EVERYTHING = TABLES | PROGRAMS


def test_the_revisions_form_one_sequence() -> None:
    scripts = revisions()
    assert [script.down_revision for script in scripts] == [
        None,
        *(script.revision for script in scripts[:-1]),
    ]


def test_file_names_have_the_date_and_the_subject_and_dates_do_not_decrease() -> None:
    names = [Path(script.path).name for script in revisions()]
    # Revisions of one day sort by their subjects; their ids have the order.
    dates = [name.partition("_")[0] for name in names]
    assert dates == sorted(dates)
    for script, name in zip(revisions(), names, strict=True):
        matched = re.fullmatch(r"(\d{4}-\d{2}-\d{2})_[a-z0-9_]+\.py", name)
        assert matched
        assert script.revision.startswith(date.fromisoformat(matched[1]).strftime("%Y%m%d"))
        assert script.doc


def test_undoing_and_applying_all_revisions_twice_gives_the_same_schema(empty_url: str) -> None:
    empty = describe(empty_url, EVERYTHING)
    assert empty["columns"] == []
    upgrade(empty_url, "head")
    built = describe(empty_url, EVERYTHING)
    assert built["columns"]
    for _ in range(2):
        downgrade(empty_url, "base")
        assert describe(empty_url, EVERYTHING) == empty
        upgrade(empty_url, "head")
        assert describe(empty_url, EVERYTHING) == built


def test_each_revision_can_be_undone(empty_url: str) -> None:
    before = describe(empty_url, EVERYTHING)
    for script in revisions():
        upgrade(empty_url, script.revision)
        after = describe(empty_url, EVERYTHING)
        assert after != before
        downgrade(empty_url, "-1")
        assert describe(empty_url, EVERYTHING) == before
        upgrade(empty_url, script.revision)
        assert describe(empty_url, EVERYTHING) == after
        before = after


def test_a_database_at_any_revision_is_migrated_to_the_newest(empty_url: str) -> None:
    settings = parse_database_url(empty_url, local=True)
    migrate(settings)
    built = describe(empty_url, EVERYTHING)
    for script in revisions():
        downgrade(empty_url, script.revision)
        assert migrate(settings) == head()
        assert describe(empty_url, EVERYTHING) == built


def test_the_titles_of_posts_from_before_are_copied(empty_url: str) -> None:
    upgrade(empty_url, "20261125b")
    with engine(empty_url).begin() as connection:
        connection.execute(text("INSERT INTO users (id, email, password) VALUES (1, 'ada@example.com', 'x')"))
        connection.execute(
            text(
                "INSERT INTO posts (id, owner_id, title, content, deleted_at)"
                " SELECT id, 1, 'Title ' || id, 'c', CASE WHEN id = 7 THEN now() END"
                " FROM generate_series(-10, 4500) AS id"
            )
        )
    upgrade(empty_url, "head")
    with engine(empty_url).begin() as connection:
        expected = "SELECT id, title, created_at FROM posts WHERE deleted_at IS NULL ORDER BY id"
        copied = "SELECT post_id, title, created_at FROM post_titles ORDER BY post_id"
        rows = connection.execute(text(copied)).all()
        assert len(rows) == 4510
        assert rows == connection.execute(text(expected)).all()


def test_an_index_left_invalid_by_a_failed_attempt_is_created_again(empty_url: str) -> None:
    upgrade(empty_url, "head")
    built = describe(empty_url, EVERYTHING)
    downgrade(empty_url, "20261122c")
    with engine(empty_url).begin() as connection:
        connection.execute(
            text("CREATE INDEX ix_idempotency_keys_user_id_created_at ON idempotency_keys (key)")
        )
    upgrade(empty_url, "head")
    assert describe(empty_url, EVERYTHING) == built


def test_a_url_means_the_same_for_migrations_as_for_functions(empty_url: str) -> None:
    migrate(parse_database_url(f"{empty_url}?sslmode=disable", local=True))
    with pytest.raises(SettingsError, match="refuses TLS"):
        migrate(parse_database_url(f"{empty_url}?sslmode=verify-full", local=True), seconds=0)


def test_nobody_knows_when_a_session_from_before_was_opened(empty_url: str) -> None:
    upgrade(empty_url, "20261126g")
    add_session = text("INSERT INTO sessions (user_id) VALUES (1)")
    with engine(empty_url).begin() as connection:
        connection.execute(
            text(
                "INSERT INTO users (id, email, lower_case_email, password)"
                " VALUES (1, 'ada@example.com', 'ada@example.com', 'x')"
            )
        )
        connection.execute(add_session)
    upgrade(empty_url, "head")
    with engine(empty_url).begin() as connection:
        connection.execute(add_session)
        opened = "SELECT created_at = renewed_at FROM sessions ORDER BY renewed_at"
        assert connection.execute(text(opened)).scalars().all() == [None, True]
