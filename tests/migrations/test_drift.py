"""The revisions and the models describe the same schema."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from common.models import Base
from tests.migrations.catalog import PROGRAMS, TABLES, describe, engine
from tests.support.database import Database

# The prefix of a name for each kind of constraint. PostgreSQL chooses the names of NOT NULL constraints.
PREFIXES = {"p": "pk_{table}", "f": "fk_{table}_", "u": "uq_{table}_", "c": "ck_{table}_"}


def test_alembic_finds_no_difference(database: Database) -> None:
    with engine(database.url).connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []


def test_the_models_create_the_same_tables_as_the_revisions(database: Database, empty_url: str) -> None:
    # Alembic does not compare the expressions of indexes, nor ON DELETE of foreign keys.
    sources: dict[str, str] = dict(describe(database.url, PROGRAMS)["functions"])
    with engine(empty_url).begin() as connection:
        for function in ("title_trigrams", "title_keys"):
            connection.execute(text(sources[function].replace(":", "\\:")))
        Base.metadata.create_all(connection)
    created, migrated = describe(empty_url, TABLES), describe(database.url, TABLES)
    for kind in TABLES:
        assert created[kind] == migrated[kind]


def test_the_functions_and_triggers_are_those_listed_here(database: Database) -> None:
    programs = describe(database.url, PROGRAMS)
    assert [name for name, _ in programs["functions"]] == [
        "copy_changed_title",
        "copy_new_titles",
        "count_moved_votes",
        "count_no_votes",
        "count_votes",
        "forget_deltas",
        "grams",
        "mark_lower_case_email",
        "raise_serialization_failure",
        "rank_new_posts",
        "set_lower_case_email",
        "term_keys",
        "title_keys",
        "title_trigrams",
    ]
    assert [name for name, _ in programs["triggers"]] == [
        "copy_changed_title",
        "copy_new_titles",
        "count_votes_delete",
        "count_votes_insert",
        "count_votes_truncate",
        "count_votes_update",
        "forget_deltas",
        "mark_lower_case_email",
        "rank_new_posts",
        "set_lower_case_email",
    ]
    assert programs["types"] == []
    assert programs["extensions"] == [("plpgsql",)]


def test_every_constraint_name_has_the_prefix_of_its_kind(database: Database) -> None:
    constraints = [row for row in describe(database.url, TABLES)["constraints"] if row[2] in PREFIXES]
    assert {kind for _, _, kind, _ in constraints} >= {"p", "f", "u"}
    for table, name, kind, _ in constraints:
        assert name.startswith(PREFIXES[kind].format(table=table))


def test_every_index_name_has_the_prefix_of_its_kind(database: Database) -> None:
    indexes = describe(database.url, TABLES)["indexes"]
    assert indexes
    for table, definition in indexes:
        name = definition.removeprefix("CREATE ").removeprefix("UNIQUE ").removeprefix("INDEX ").split()[0]
        assert name.startswith((f"ix_{table}_", f"uq_{table}_", f"pk_{table}"))


REFERENCE = {
    ("users", "id", "integer", True),
    ("users", "email", "character varying", True),
    ("users", "password", "character varying", True),
    ("users", "created_at", "timestamp with time zone", True),
    ("users", "phone_number", "character varying", False),
    ("posts", "id", "integer", True),
    ("posts", "title", "character varying", True),
    ("posts", "content", "character varying", True),
    ("posts", "published", "boolean", True),
    ("posts", "created_at", "timestamp with time zone", True),
    ("posts", "owner_id", "integer", True),
    ("votes", "user_id", "integer", True),
    ("votes", "post_id", "integer", True),
}


def test_the_columns_of_the_reference_exist_with_their_types(database: Database) -> None:
    columns = describe(database.url, TABLES)["columns"]
    assert {column[:4] for column in columns} >= REFERENCE
    defaults = {(table, name): default for table, name, _, _, default in columns}
    assert defaults["posts", "published"] == "true"
    assert defaults["users", "created_at"] == defaults["posts", "created_at"] == "now()"


def test_the_keys_of_the_reference_exist(database: Database) -> None:
    definitions = {(table, text) for table, _, _, text in describe(database.url, TABLES)["constraints"]}
    assert definitions >= {
        ("users", "PRIMARY KEY (id)"),
        ("users", "UNIQUE (email)"),
        ("posts", "PRIMARY KEY (id)"),
        ("posts", "FOREIGN KEY (owner_id) REFERENCES users(id) ON DELETE CASCADE"),
        ("votes", "PRIMARY KEY (user_id, post_id)"),
        ("votes", "FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE"),
        ("votes", "FOREIGN KEY (post_id) REFERENCES posts(id) ON DELETE CASCADE"),
    }


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("ALTER TABLE posts ALTER title DROP NOT NULL", "columns"),
        ("ALTER TABLE posts ALTER published SET DEFAULT false", "columns"),
        ("DROP INDEX ix_votes_post_id", "indexes"),
        (
            "ALTER TABLE posts DROP CONSTRAINT fk_posts_owner_id_users,"
            " ADD CONSTRAINT fk_posts_owner_id_users FOREIGN KEY (owner_id) REFERENCES users (id)",
            "constraints",
        ),
        (
            "ALTER INDEX ix_posts_published_newest RENAME TO ix_posts_old",
            "indexes",
        ),
    ],
)
def test_a_difference_is_found(change: str, difference: str, database: Database) -> None:
    before = describe(database.url, TABLES)
    with engine(database.url).connect() as connection:
        connection.execute(text(change))
        # Read in the same transaction, which is never committed.
        after = connection.execute(text(TABLES[difference])).all()
    assert sorted(map(tuple, after), key=repr) != before[difference]
