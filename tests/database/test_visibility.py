"""No statement of a function shows or changes a post that its user may not see.

The statements are found by importing the modules that declare them. So a new statement is tested, too, and
one that needs a value which `values` lacks fails until it has one.
"""

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

import posts.queries
import users.queries
from common.rows import Attempt
from tests.support.database import PASSWORD_HASH, Database, principal_of
from tests.support.statements import statements, values

# Statements that use the table and show no post, each with the reason.
SHOW_NO_POST = {
    "posts.queries.create_once": "inserts a post and returns its id, or that of an earlier request"
}
# Nobody calls these on behalf of a user: they remove what no user may see.
MAINTENANCE = "maintenance.queries."


STATEMENTS = {name: each for name, each in statements() if not name.startswith(MAINTENANCE)}
USE_POSTS = {name for name, each in STATEMENTS.items() if re.search(r"\bposts\b", each.sql)}


class World(NamedTuple):
    """Users, and posts that the viewer may or may not see; their titles say which.

    Attributes:
        viewer: The id of the user of each statement.
        authors: The ids of all users, one of whom is deleted.
        hidden: The ids of the posts that the viewer may not see: in each order, some are at both ends.
        visible: The ids of the posts that the viewer may see.

    """

    viewer: int
    authors: list[int]
    hidden: list[int]
    visible: list[int]


@pytest.fixture
def world(database: Database) -> World:
    """Return users and posts."""
    viewer, author, deleted = (database.add_user(f"{name}@example.com") for name in ("bob", "ada", "eve"))
    hidden, visible = [], []

    def add_hidden() -> None:
        posts_of = [(author, False), (author, True), (deleted, True), (viewer, True), (viewer, False)]
        added = [database.add_post(owner, "hidden post", published=each) for owner, each in posts_of]
        _, deleted_by_author, _, own, own_draft = added
        posts.queries.mark_deleted(principal_of(author), post_id=deleted_by_author)
        for each in (own, own_draft):
            posts.queries.mark_deleted(principal_of(viewer), post_id=each)
        hidden.extend(added)

    add_hidden()
    for owner, published in [(author, True), (viewer, True), (viewer, False)] * 3:
        visible.append(database.add_post(owner, "visible post", published=published))
    add_hidden()
    for post_id in hidden + visible:
        database.add_vote(author, post_id)
    for post_id in hidden:
        database.add_vote(viewer, post_id)
    attempt = Attempt("", "", datetime.now(UTC))
    users.queries.mark_deleted(principal_of(deleted), attempt, verified_hash=PASSWORD_HASH)
    return World(viewer, [viewer, author, deleted], hidden, visible)


def run(name: str, world: World, **arguments: int) -> list[dict[str, object]]:
    """Run a statement and return its rows."""
    statement = STATEMENTS[name]
    every = values(name, world.viewer, **arguments)
    rows = statement(**{each: every[each] for each in statement.parameters})
    return [row._asdict() for row in rows]


def arguments_of(name: str, world: World, post_ids: list[int]) -> list[dict[str, int]]:
    """Return arguments for each post, author and size of a page that makes a difference.

    A search reads a short page from the list and a long one from an index.
    """
    parameters = STATEMENTS[name].parameters
    return [
        {"post_id": post_id, "author": author, "limit": limit}
        for post_id in (post_ids if "post_id" in parameters else [0])
        for author in (world.authors if "author" in parameters else [0])
        for limit in ([1, 100] if "limit" in parameters else [0])
    ]


def stored(database: Database, world: World) -> list[list[list[Any]]]:
    """Return what is stored of the hidden posts."""
    return [
        database.run("SELECT * FROM posts WHERE id = ANY (:ids) ORDER BY id", ids=world.hidden),
        database.run("SELECT * FROM votes WHERE post_id = ANY (:ids) ORDER BY 1, 2", ids=world.hidden),
    ]


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_neither_shows_nor_changes_a_hidden_post(
    name: str, world: World, database: Database
) -> None:
    before = stored(database, world)
    for arguments in arguments_of(name, world, world.hidden):
        for row in run(name, world, **arguments):
            assert row.get("title") != "hidden post"
            if "post_id" in STATEMENTS[name].parameters:
                assert row["post_exists"] is False
    assert stored(database, world) == before


@pytest.mark.parametrize("name", sorted(USE_POSTS - SHOW_NO_POST.keys()))
def test_a_statement_that_uses_posts_shows_visible_ones(name: str, world: World) -> None:
    """Check that the test above sees what this statement shows: it looks at the fields of its rows."""
    rows = [row for each in arguments_of(name, world, world.visible) for row in run(name, world, **each)]
    assert any(row["post_exists"] for row in rows)


def test_the_statements_that_show_no_post_use_the_table() -> None:
    assert SHOW_NO_POST.keys() <= USE_POSTS
