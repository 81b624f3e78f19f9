"""How much WAL the change of a post writes: disks, backups and replicas take all of it."""

from collections.abc import Iterator

import pytest

from posts import queries
from posts.schemas import MAX_TITLE_LENGTH, OLD_MAX_TITLE_LENGTH
from tests.support.database import PER_DAY, Database, principal_of

MAX_BYTES = 20_000
# The records of one transaction, because other tests write to the same log. Without the images of whole
# pages, because each checkpoint causes one of each page that is changed next.
WRITTEN = """
SELECT sum(record_length - fpi_length)
FROM pg_get_wal_records_info(CAST(:start AS pg_lsn), pg_current_wal_flush_lsn())
WHERE xid = CAST(:transaction AS xid)
"""


@pytest.fixture(autouse=True)
def _walinspect(database: Database) -> Iterator[None]:
    """Install the extension that reads the log."""
    database.run("CREATE EXTENSION pg_walinspect")
    yield
    database.run("DROP EXTENSION pg_walinspect")


def cjk(length: int) -> str:
    """Return characters of three bytes, each pair of which has trigrams of its own."""
    return "".join(chr(0x4E00 + number * 7) for number in range(length))


def written_by_change(
    database: Database, post_id: int, owner: int, title: str, *, published: bool = True
) -> int:
    """Change a post. Return the bytes of WAL that it writes."""
    start = database.value("SELECT pg_current_wal_insert_lsn()::text")
    text = {"title": title, "content": "Content"}
    queries.change(
        principal_of(owner),
        post_id=post_id,
        published=published,
        per_day=PER_DAY,
        verified_only=False,
        **text,
    )
    transaction = database.value("SELECT xmin::text FROM posts WHERE id = :id", id=post_id)
    database.run("CHECKPOINT")  # writes what is in memory to the log
    return int(database.value(WRITTEN, start=start, transaction=transaction))


@pytest.mark.parametrize("length", [10, 128, 129, MAX_TITLE_LENGTH])
def test_a_change_of_the_title_writes_little(length: int, ada: int, database: Database) -> None:
    post_id = database.add_post(ada, "Old")
    written = written_by_change(database, post_id, ada, cjk(length))
    assert 0 < written < MAX_BYTES + len(cjk(length).encode())


@pytest.mark.parametrize("length", [128, MAX_TITLE_LENGTH, OLD_MAX_TITLE_LENGTH])
def test_a_change_that_keeps_the_title_does_not_touch_the_search_index(
    length: int, ada: int, database: Database
) -> None:
    post_id = database.add_post(ada, cjk(length))
    written = written_by_change(database, post_id, ada, cjk(length), published=False)
    assert database.value("SELECT published FROM post_titles") is False
    assert 0 < written < 1_500 + len(cjk(length).encode())
