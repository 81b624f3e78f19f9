"""Sixteen clients share two connections of a pooler, and each gets only its own rows."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pg8000.exceptions
import pytest
import sqlalchemy

import posts.queries
import users.queries
from common import deadline
from common.keys import Key
from local.database import migrate
from local.postgres import Cluster
from tests.long.conftest import DATABASE
from tests.long.system import MIXED
from tests.long.traffic import Actor, Person, Traffic, populate, statuses
from tests.support.connections import connection_per_thread
from tests.support.database import Database, principal_of
from tests.support.lambdas import Context
from tests.support.local_gateway import local_gateway
from tests.support.pgbouncer import PgBouncer, pooler

CLIENTS = 16
REQUESTS = 10_000
SIZE = 2


@pytest.fixture(scope="module")
def url(cluster: Cluster) -> str:
    """Return the URL of a migrated database."""
    cluster.create_database(DATABASE)
    migrate(cluster.url(DATABASE))
    return cluster.url(DATABASE)


@pytest.fixture(scope="module")
def people(url: str, key: Key) -> list[Person]:
    """Return the people whose rows are read."""
    with Database(url) as database:
        return populate(database, CLIENTS, key)


@pytest.fixture(scope="module")
def pooled(url: str, *, has_pooler: bool) -> Iterator[PgBouncer]:
    """Return a pooler with two connections."""
    assert has_pooler
    with pooler(url, size=SIZE) as pgbouncer:
        yield pgbouncer


def all_at_once(ask: Callable[[int], bool]) -> int:
    """Send `REQUESTS` statements from clients that start together; return the number of wrong results."""
    start = threading.Barrier(CLIENTS)

    def client(index: int) -> int:
        start.wait()
        return sum(not ask(index + CLIENTS * number) for number in range(REQUESTS // CLIENTS))

    with ThreadPoolExecutor(CLIENTS) as pool:
        return sum(pool.map(client, range(CLIENTS)))


def test_no_client_gets_the_row_of_another(
    pooled: PgBouncer, people: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", pooled.url())
    deadline.start(Context(milliseconds=300_000))

    def is_right(number: int) -> bool:
        person = people[number * 7 % len(people)]
        match number % 3:
            case 0:
                [user] = users.queries.read(user_id=person.id)
                return (user.id, user.email) == (person.id, person.email)
            case 1:
                [post] = posts.queries.read(principal_of(person.id), post_id=person.post)
                return (post.id, post.title) == (person.post, person.title)
            case _:
                [account] = users.queries.change_phone_number(
                    principal_of(person.id), phone_number=str(person.id), per_day=1_000_000
                )
                return (account.id, account.phone_number) == (person.id, str(person.id))

    with connection_per_thread():
        assert all_at_once(is_right) == 0


def test_with_stock_pg8000_in_autocommit_clients_get_rows_of_others(
    pooled: PgBouncer, people: list[Person]
) -> None:
    """The reason for our driver: the pooler can change the server connection between Parse and Bind."""
    engine = sqlalchemy.create_engine(
        pooled.url().replace("postgresql://", "postgresql+pg8000://"),
        isolation_level="AUTOCOMMIT",
        pool_size=CLIENTS,
        connect_args={"timeout": 5},
    )
    statements = {
        "email": sqlalchemy.text("SELECT id, email FROM users WHERE id = :id"),
        "title": sqlalchemy.text("SELECT owner_id, title FROM posts WHERE owner_id = :id AND published"),
    }
    failures = []

    def is_right(number: int) -> bool:
        person = people[number * 7 % len(people)]
        wanted = ("email", "title")[number // CLIENTS % 2]
        try:
            with engine.connect() as connection:
                rows = connection.execute(statements[wanted], {"id": person.id})
                return [tuple(row) for row in rows] == [(person.id, getattr(person, wanted))]
        except (sqlalchemy.exc.DBAPIError, pg8000.exceptions.Error, OSError, RuntimeError) as error:
            # Sometimes the messages are out of step and the driver notices; mostly it does not.
            failures.append(error)
            return True

    wrong = all_at_once(is_right)
    engine.dispose()
    print(f"\nstock pg8000: {wrong} wrong rows and {len(failures)} errors in {REQUESTS}")  # noqa: T201  # a figure
    assert wrong > 0


def test_ten_thousand_mixed_requests_over_http_get_their_own_responses(
    pooled: PgBouncer, url: str, people: list[Person], tmp_path: Path
) -> None:
    with local_gateway(pooled.url(), tmp_path / "log") as gateway:
        traffic = Traffic(Actor(gateway.url, person, people, MIXED) for person in people)
        traffic.start(most=REQUESTS // CLIENTS)
        outcomes = traffic.join()
    assert len(outcomes) == REQUESTS
    print(f"\n{dict(statuses(outcomes))}")  # noqa: T201  # a figure
    assert [outcome.wrong for outcome in outcomes if outcome.wrong] == []
    assert statuses(outcomes).keys() <= {200, 201, 404, 409}
    titles = {outcome.title for outcome in outcomes if outcome.status == 201 and outcome.title}
    with Database(url) as database:
        assert database.value("SELECT count(*) FROM posts WHERE NOT published") == len(titles)
