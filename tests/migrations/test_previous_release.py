"""Release 1.0 and this one run beside each other on the schema of each step between them."""

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.migrations.commands import downgrade, upgrade
from tests.support.counters import wrong_counters
from tests.support.database import Database, connect

RELEASE_1_0 = "20261122d"
BEFORE_DELTAS = "20261125c"
DELTAS = "20261125"
NO_WAITING = "20261125b"

# Posts whose counter, the old or its copy, is not the number of their votes.
OLD_COUNTERS_WRONG = """
SELECT id FROM posts WHERE vote_count <> (SELECT count(*) FROM votes WHERE post_id = id)
    OR vote_count <> (SELECT vote_count FROM post_ranks WHERE post_id = id)
"""
STATEMENTS = dict(
    re.findall(r"^-- (\w+)\n(.+)", Path(__file__).with_name("release_1_0.sql").read_text(), re.MULTILINE)
)
FIRST_NEW = {"after": "9999-12-31T23:59:59+00:00", "after_id": 2**31 - 1, "limit": 10, "skip": 0}
FIRST_TOP = FIRST_NEW | {"after": str(2**31 - 1)}
POST = {"title": "Title", "content": "Content", "published": True}


class OldCode:
    """Runs the statements of release 1.0; `rows` are dictionaries."""

    def __init__(self, url: str) -> None:
        self.connection = connect(url)

    def close(self) -> None:
        self.connection.close()

    def __call__(self, name: str, **values: object) -> list[dict[str, Any]]:
        rows = self.connection.run(STATEMENTS[name], **values)
        names = [column["name"] for column in self.connection.columns]
        return [dict(zip(names, row, strict=True)) for row in rows]


@pytest.fixture
def at_1_0(empty_url: str) -> Iterator[Database]:
    """Return a database as release 1.0 made it, with two users."""
    upgrade(empty_url, RELEASE_1_0)
    with Database(empty_url) as database:
        database.add_user()
        database.add_user("bob@example.com")
        yield database


@pytest.fixture
def old(at_1_0: Database) -> Iterator[OldCode]:
    """Return the code of release 1.0."""
    with closing(OldCode(at_1_0.url)) as code:
        yield code


def votes_in_lists(old: OldCode) -> list[dict[int, int]]:
    """Return the number of votes by post as the lists of release 1.0 show it."""
    lists = [
        old("feed_new", viewer=1, **FIRST_NEW),
        old("feed_top", viewer=1, **FIRST_TOP),
        old("search_top", viewer=1, term="i", **FIRST_TOP),
        old("author_top", viewer=1, author=1, term="", **FIRST_TOP),
    ]
    return [{row["id"]: row["vote_count"] for row in rows} for rows in lists]


@pytest.mark.parametrize("revision", [RELEASE_1_0, DELTAS, "head"])
def test_statements_of_the_previous_release_work(revision: str, at_1_0: Database, old: OldCode) -> None:
    upgrade(at_1_0.url, revision)
    [post] = old("create", owner=1, **POST)
    [once] = old("create_once", owner=1, key="k", fingerprint="f", **POST)
    assert old("create_once", owner=1, key="k", fingerprint="f", **POST) == [once]
    assert once["is_same"]
    assert old("cast", voter=2, post_id=post["id"]) == [{"found": True, "done": True}]
    assert old("cast", voter=2, post_id=post["id"]) == [{"found": True, "done": False}]
    assert old("cast", voter=1, post_id=post["id"]) == [{"found": True, "done": True}]
    assert old("retract", voter=1, post_id=post["id"]) == [{"found": True, "done": True}]
    # It shows votes as of the last revision, which no longer counts them in posts.
    shown = 0 if revision == "head" else 1
    assert votes_in_lists(old) == [{post["id"]: shown, once["id"]: 0}] * 4
    requests: dict[str, dict[str, Any]] = {
        "read": {"viewer": 2},
        "change": {"editor": 1, **POST},
        "remove": {"editor": 1},
    }
    for name, values in requests.items():
        [row] = old(name, post_id=post["id"], **values)
        assert row == post | {"vote_count": shown}
    assert not old("read", post_id=post["id"], viewer=2)[0]["found"]
    [draft] = old("create", owner=1, **POST | {"published": False})
    assert [row["id"] for row in old("drafts_top", viewer=1, term="", **FIRST_TOP)] == [draft["id"]]


def test_votes_that_are_being_cast_while_the_triggers_change_are_counted(
    at_1_0: Database, old: OldCode
) -> None:
    [post] = old("create", owner=1, **POST)
    upgrade(at_1_0.url, DELTAS)
    with ThreadPoolExecutor(2) as pool, closing(OldCode(at_1_0.url)) as other:
        old.connection.run("BEGIN")
        old("cast", voter=1, post_id=post["id"])
        upgraded = pool.submit(upgrade, at_1_0.url, NO_WAITING)
        at_1_0.wait_for_locks(1)
        late = pool.submit(other, "cast", voter=2, post_id=post["id"])
        at_1_0.wait_for_locks(2)
        old.connection.run("COMMIT")
        upgraded.result()
        assert late.result() == [{"found": True, "done": True}]
    assert at_1_0.run("SELECT vote_count FROM post_ranks") == [[2]]
    assert wrong_counters(at_1_0.run) == []


def test_counters_are_exact_while_each_revision_is_made_and_taken_back_under_load(at_1_0: Database) -> None:
    for number in range(8):
        at_1_0.add_post(1 + number % 2)
    # The subject of this test are the revisions of votes.
    upgrade(at_1_0.url, BEFORE_DELTAS)
    stop = threading.Event()

    def vote(voter: int) -> int:
        number = 0
        with closing(OldCode(at_1_0.url)) as old:
            posts = [post_id for [post_id] in old.connection.run("SELECT id FROM posts")]
            while not stop.is_set():
                for post_id in posts:
                    old("cast", voter=voter, post_id=post_id)
                    old("retract", voter=voter, post_id=posts[number % 8])
                number += 1
        return number

    with ThreadPoolExecutor(2) as pool:
        voters = [pool.submit(vote, voter) for voter in (1, 2)]
        try:
            for revision in (DELTAS, NO_WAITING):
                upgrade(at_1_0.url, revision)
                assert wrong_counters(at_1_0.run) == []
            downgrade(at_1_0.url, DELTAS)
        finally:
            stop.set()
        assert all(voter.result() for voter in voters)
    assert at_1_0.run(OLD_COUNTERS_WRONG) == []


def test_the_counter_of_release_1_0_is_exact_again_where_the_revision_is_taken_back(
    at_1_0: Database, old: OldCode
) -> None:
    upgrade(at_1_0.url, NO_WAITING)
    [post] = old("create", owner=1, **POST)
    with closing(connect(at_1_0.url)) as holder:
        holder.run("BEGIN")
        holder.run("SELECT FROM post_ranks FOR UPDATE")
        old("cast", voter=1, post_id=post["id"])
        holder.run("COMMIT")
    old("cast", voter=2, post_id=old("create", owner=1, **POST)[0]["id"])
    downgrade(at_1_0.url, DELTAS)
    assert at_1_0.run("SELECT vote_count FROM posts") == [[1], [1]]
    assert at_1_0.run(OLD_COUNTERS_WRONG) == []
