"""Connections that a proxy in front of PostgreSQL cuts before, during and after statements, under load."""

import re
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from common.keys import Key
from local.postgres import Cluster
from tests.long.conftest import DATABASE
from tests.long.system import MIXED, READS, Record, assert_kept, written_titles
from tests.long.traffic import NOTHING_DONE, UNKNOWN, Actor, Traffic, populate
from tests.support.database import Database
from tests.support.local_gateway import LocalGateway, local_gateway
from tests.support.postgres_proxy import Fault, PostgresProxy

CUTS = {
    "before the statement": Fault(reaches_server=False, response=lambda _: b""),
    "during the response": Fault(response=lambda response: response[: len(response) // 2]),
    "after the statement, before the response": Fault(response=lambda _: b""),
    "after the response": Fault(),
}
CLIENTS = 4
SECONDS = 10.0
EVERY_SECONDS = 0.15
TITLE = re.compile(rb"[0-9a-f]{32}")


@pytest.fixture(scope="module")
def cut_system(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LocalGateway, PostgresProxy, str]]:
    """Return a gateway, the proxy between it and PostgreSQL, and the URL of the database itself."""
    cluster.create_database(DATABASE)
    url = cluster.url(DATABASE)
    with (
        PostgresProxy(url).running() as proxy,
        local_gateway(proxy.url, tmp_path_factory.mktemp("gateway") / "log") as gateway,
    ):
        yield gateway, proxy, url


@pytest.mark.parametrize("place", CUTS)
def test_a_write_with_an_unknown_outcome_is_not_sent_again(
    place: str, cut_system: tuple[LocalGateway, PostgresProxy, str], key: Key
) -> None:
    gateway, proxy, url = cut_system
    with Database(url) as database:
        people = populate(database, CLIENTS, key)
    traffic = Traffic(Actor(gateway.url, person, people, MIXED) for person in people)
    traffic.start(most=30)
    traffic.join()
    before = gateway.workers()
    proxy.reset()
    traffic.start()
    begin = time.monotonic()
    number = 0
    while time.monotonic() < begin + SECONDS:
        proxy.faults.append(CUTS[place])
        number += 1
        time.sleep(EVERY_SECONDS)
    while proxy.faults:
        time.sleep(EVERY_SECONDS)
    end = time.monotonic()
    time.sleep(2)
    record = Record(
        outcomes := traffic.finish(),
        [outcome for outcome in outcomes if outcome.at < end],
        [outcome for outcome in outcomes if outcome.at > end],
    )
    print(f"\n{place}, {number} cuts: {record}")  # noqa: T201  # for docs/reliability.md
    assert number > SECONDS / EVERY_SECONDS / 2
    assert before <= gateway.workers()
    assert_kept(record)
    # A read whose connection is cut is sent again. It fails only if both attempts are cut, which is rare.
    assert record.reads[200] > 20 * record.reads[NOTHING_DONE]
    # The parameters of an INSERT contain one such text, those of an UPDATE contain two.
    found = [TITLE.findall(message.payload) for message in list(proxy.messages) if message.kind == "B"]
    sent = Counter(texts[0].decode() for texts in found if len(texts) == 1)
    written = written_titles(url)
    for outcome in outcomes:
        if outcome.kind == "write" and outcome.title:
            assert sent[outcome.title] == (outcome.status != NOTHING_DONE), outcome
            assert written[outcome.title] <= 1, outcome
            assert outcome.status == UNKNOWN or written[outcome.title] == (outcome.status == 201), outcome
    broken = [outcome for outcome in outcomes if outcome.status == UNKNOWN]
    assert broken or place == "after the response"
    assert all(outcome.kind not in READS for outcome in broken)
