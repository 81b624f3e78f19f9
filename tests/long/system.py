"""The system that tests break, and what must hold under every fault."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import NamedTuple

import pg8000.exceptions

from common.keys import Key
from local.postgres import Cluster
from tests.long.traffic import NOTHING_DONE, UNKNOWN, Actor, Outcome, Person, Traffic, populate
from tests.support.counters import wrong_counters
from tests.support.database import Database, connect
from tests.support.local_gateway import LocalGateway
from tests.support.pgbouncer import PgBouncer
from tests.support.processes import until

PEOPLE = 6
# The timeout of the functions in template.yaml, minus the margin in common/deadline.py.
LONGEST_SECONDS = 10.0 - 1.0
CALM_SECONDS = 2.0
MIXED = {"read": 5, "user": 2, "account": 3, "list": 2, "search": 2, "write": 5, "edit": 2, "vote": 4}
READS = frozenset({"read", "user", "account", "list", "search"})


class Record(NamedTuple):
    """The outcomes from before a fault until after it."""

    outcomes: list[Outcome]
    during: list[Outcome]
    after: list[Outcome]

    @property
    def reads(self) -> Counter[int]:
        """Count the responses to reads, by status."""
        return Counter(outcome.status for outcome in self.outcomes if outcome.kind in READS)

    @property
    def writes(self) -> Counter[int]:
        """Count the responses to writes, by status; a 4xx is a response like any other."""
        return Counter(outcome.status for outcome in self.outcomes if outcome.kind not in READS)

    def __str__(self) -> str:
        """Summarise the outcomes in a line."""
        longest = max(outcome.seconds for outcome in self.outcomes)
        return (
            f"{len(self.outcomes)} requests, {len(self.during)} during;"
            f" reads {dict(sorted(self.reads.items()))}, writes {dict(sorted(self.writes.items()))};"
            f" longest {longest:.1f} s"
        )


class System:
    """PostgreSQL, PgBouncer (or None), the gateway, and people who use it."""

    def __init__(
        self, cluster: Cluster, pooler: PgBouncer | None, gateway: LocalGateway, url: str, key: Key
    ) -> None:
        self.cluster = cluster
        self.pooler = pooler
        self.gateway = gateway
        self.url = url
        self.key = key
        self.people: list[Person] = []
        self._actors: list[Actor] = []

    def populate(self, database: Database) -> None:
        """Add the people who send requests."""
        self.people = populate(database, PEOPLE, self.key)
        self._actors = [Actor(self.gateway.url, person, self.people, MIXED) for person in self.people]

    def under(self, fault: Callable[[], object], *, calm: float = CALM_SECONDS) -> Record:
        """Run `fault` while everyone sends requests; assert what must hold under every fault.

        `calm` is the time in seconds before and after the fault.
        """
        self._warm_up()
        before = self.gateway.workers()
        traffic = Traffic(self._actors)
        traffic.start()
        time.sleep(calm)
        begin = time.monotonic()
        try:
            fault()
        finally:
            self._wait_until_back()
            end = time.monotonic()
            # Requests that began during the fault must end before those after it are counted.
            time.sleep(LONGEST_SECONDS if calm > CALM_SECONDS else calm)
            outcomes = traffic.finish()
        record = Record(
            outcomes,
            [outcome for outcome in outcomes if outcome.at + outcome.seconds > begin and outcome.at < end],
            [outcome for outcome in outcomes if outcome.at > end + 1.0],
        )
        assert before <= self.gateway.workers(), "an execution environment was ended"
        assert_kept(record)
        self.assert_nothing_lost(record.outcomes)
        return record

    def _wait_until_back(self) -> None:
        """Return when the database, and the pooler, accept statements: the fault is over."""
        for url in [self.url, *([self.pooler.url()] if self.pooler else [])]:
            until(lambda url=url: _answers(url), seconds=60)  # type: ignore[misc]  # one argument, bound

    def _warm_up(self) -> None:
        """Start an environment of each function for each client, so that none has to start later."""
        traffic = Traffic(self._actors)
        traffic.start(most=40)
        for outcome in traffic.join():
            assert not outcome.wrong, outcome
            assert outcome.status not in {0, NOTHING_DONE, UNKNOWN}, outcome

    def assert_nothing_lost(self, outcomes: Iterable[Outcome]) -> None:
        """Assert that each post exists once if it was reported as written, and never if as not written."""
        written = written_titles(self.url)
        for outcome in outcomes:
            if not outcome.title:
                continue
            number = written[outcome.title]
            if outcome.status == 201:
                assert number == 1, outcome
            elif outcome.status == NOTHING_DONE:
                assert number == 0, outcome
            else:
                assert number <= 1, outcome
        assert posts_with_wrong_counters(self.url) == []


def assert_kept(record: Record) -> None:
    """Assert what must hold under every fault."""
    for outcome in record.outcomes:
        assert not outcome.wrong, outcome
        assert outcome.status < 500 or outcome.status in {NOTHING_DONE, UNKNOWN}, outcome
        assert outcome.seconds < LONGEST_SECONDS, outcome
        assert outcome.status != NOTHING_DONE or outcome.retry_after == "1", outcome
        assert outcome.status != UNKNOWN or outcome.kind not in READS, outcome
    assert record.after, "no request was sent after the fault"
    for outcome in record.after:
        assert outcome.status not in {0, NOTHING_DONE, UNKNOWN}, outcome


def _answers(url: str) -> bool:
    try:
        connection = connect(url)
    except (pg8000.exceptions.Error, OSError):
        return False
    try:
        return bool(connection.run("SELECT 1"))
    except (pg8000.exceptions.Error, OSError):
        return False
    finally:
        connection.close()


def written_titles(url: str) -> Counter[str]:
    """Count the posts of each title."""
    connection = connect(url)
    try:
        return Counter(title for [title] in connection.run("SELECT title FROM posts"))
    finally:
        connection.close()


def posts_with_wrong_counters(url: str) -> list[list[int]]:
    """Return the posts whose counter is not the number of their votes."""
    with closing(connect(url)) as connection:
        return wrong_counters(connection.run)
