"""What the statements of lists read, where the planner could read much more."""

from datetime import datetime

import pytest

from common.database import Statement
from common.principal import Principal
from posts import lists
from posts.paging import Cursor
from posts.rows import ListParameters, ListRow
from tests.support.database import Database, principal_of
from tests.support.plans import first_page, page, plan_of, rows_read

# Each fifth post is a draft of one user, and the others are published posts of another one.
ADD_POSTS = """
INSERT INTO posts (owner_id, title, content, published, created_at)
SELECT CASE WHEN number % 5 = 0 THEN CAST(:ada AS integer) ELSE :bob END, 't', repeat('c', 200),
    number % 5 <> 0,
    timestamptz '2026-11-01 00:00Z' + number * interval '1 minute'
FROM generate_series(1, 15000) AS number
"""
# A page of 10 posts reads each post twice, and the one after it.
MAX_ROWS = 25


@pytest.fixture(autouse=True)
def posts(ada: int, bob: int, database: Database) -> None:
    database.run(ADD_POSTS, ada=ada, bob=bob)
    database.run("VACUUM ANALYZE posts")


def test_the_list_of_an_author_with_many_drafts_reads_no_posts_of_others(
    ada: int, bob: int, database: Database
) -> None:
    for viewer in (ada, bob):
        nodes = plan_of(database, lists.author_new, principal_of(viewer), first_page("new", author=ada))
        assert rows_read(nodes, "posts") <= MAX_ROWS


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        (lists.feed_new, datetime.fromisoformat("2026-11-01 20:00Z")),
        (lists.feed_old, datetime.fromisoformat("2026-11-10 14:00Z")),
    ],
)
def test_a_page_near_the_end_of_a_list_does_not_read_all_posts_behind_it(
    statement: Statement[[Principal, ListParameters], ListRow],
    position: datetime,
    bob: int,
    database: Database,
) -> None:
    nodes = plan_of(database, statement, principal_of(bob), page(Cursor(position.isoformat(), 1)))
    assert rows_read(nodes, "posts") <= MAX_ROWS


def test_the_drafts_of_a_viewer_are_not_all_read_for_a_page(ada: int, database: Database) -> None:
    for statement in (lists.feed_new, lists.drafts_new):
        nodes = plan_of(database, statement, principal_of(ada), first_page("new"))
        assert rows_read(nodes, "posts") <= 2 * MAX_ROWS
