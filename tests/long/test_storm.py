"""The storm of tests/database/test_storms.py, for minutes."""

import itertools
import time
from collections.abc import Iterator

from common import deadline
from tests.support.connections import connection_per_thread
from tests.support.counters import wrong_counters
from tests.support.database import Database
from tests.support.lambdas import Context
from tests.support.storm import Storm

SECONDS = 120


def test_lists_show_the_stored_votes_in_every_snapshot_of_a_long_storm(database: Database) -> None:
    deadline.start(Context(milliseconds=2 * SECONDS * 1000))
    end = time.monotonic() + SECONDS

    def rounds() -> Iterator[int]:
        return itertools.takewhile(lambda _: time.monotonic() < end, itertools.count())

    storm = Storm(database)
    with connection_per_thread():
        storm.run(rounds)
    assert storm.differences == []
    assert storm.snapshots_with_deltas > SECONDS
    assert len(storm.refusals) < SECONDS, storm.refusals
    assert wrong_counters(database.run) == []
