"""The deletion of an account with very many posts and votes, and of a post with very many votes.

Two statements mark them. Then the batches of the maintenance function remove the rows, while others vote on
the posts that the deleted account voted on, and read the list of the newest posts.
"""

import itertools
import os
import random
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from math import inf
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from statistics import median
from typing import Any, Final, NamedTuple

from tqdm import tqdm

import posts.lists
import posts.queries
import users.queries
import votes.queries
from bench.databases import Size, fill
from bench.packages import SESSION
from common.database import Statement
from common.errors import UnavailableError
from common.principal import Principal
from common.rows import Attempt
from common.settings import MAX_DAILY_QUOTA
from local.postgres import Cluster
from maintenance.sweeper import REMOVALS
from posts.paging import FIRST_PAGE
from posts.rows import ListParameters
from tests.support.database import principal_of

# The number of votes, and twice the number of posts.
SMALL: Final = 20_000
LARGE: Final = 1_000_000
# User 1 has voted on all posts and owns the newer half of them, except that with the most votes.
DUE: Final = """
    ;UPDATE users SET password = 'hash';
    UPDATE posts SET owner_id = CASE WHEN id = newest - 15 THEN 2 ELSE 1 END
    FROM (SELECT max(id) AS newest FROM posts) AS last WHERE id > newest / 2;
    UPDATE post_titles SET owner_id = posts.owner_id FROM posts WHERE id = post_id;
    INSERT INTO votes (user_id, post_id) SELECT 1, id FROM posts;
    UPDATE post_ranks SET vote_count = vote_count + 1;
    INSERT INTO sessions (id, user_id)
    SELECT lpad(to_hex(id), 32, '0')::uuid, id FROM users WHERE id > 1
"""
ACCOUNT: Final = Principal(1, SESSION)
HOT_POST_FROM_THE_END: Final = 15
CLIENTS: Final = 2
SECONDS_BEFORE: Final = 10.0
# The limit of the role of the functions (migrations/roles.py).
LIMIT: Final = "ALTER DATABASE deletion SET statement_timeout = '2500ms'"


# In the process of a client.
_is_over: Event


class Removal(NamedTuple):
    """The batches that removed rows of one kind."""

    batches: int
    rows: int
    seconds: float
    p50_ms: float
    longest_ms: float


class Others(NamedTuple):
    """The statements of other users, and how many of them failed with 503."""

    statements: int
    failed: int
    p50_ms: float
    p99_ms: float
    longest_ms: float


class Deletion(NamedTuple):
    """What the deletions took.

    Attributes:
        marks: The milliseconds of the statements that mark an account and a post, by name.
        removals: The batches, by the kind of their rows.
        others: The statements of others before and during the removal, by name.

    """

    marks: dict[str, float]
    removals: dict[str, Removal]
    others: dict[str, Others]


def measure(cluster: Cluster, number: int) -> Deletion:
    """Delete an account with this number of votes and half as many posts, and a post with as many votes."""
    cluster.create_database("deletion")
    url = cluster.url("deletion")
    fill(url, Size(users=number + 1, posts=number, votes=number + number // 10), DUE)
    cluster.execute(LIMIT)
    spawn = get_context("spawn")
    is_over = spawn.Event()
    with ProcessPoolExecutor(CLIENTS + 1, spawn, _initialize, (url, is_over)) as pool:
        before = [pool.submit(_act, number, seed, SECONDS_BEFORE) for seed in range(CLIENTS)]
        others = _others("before", [each.result() for each in before])
        marks = pool.submit(_mark, number).result()
        during = [pool.submit(_act, number, seed, inf) for seed in range(CLIENTS)]
        try:
            removals = pool.submit(_remove).result()
        finally:
            is_over.set()
        others |= _others("during", [each.result() for each in during])
    return Deletion(marks, removals, others)


def _initialize(url: str, is_over: Event) -> None:
    """Prepare the process of a client."""
    global _is_over  # noqa: PLW0603  # only an inherited argument can carry it into the process
    os.environ.update(STAGE="local", DATABASE_URL=url)
    _is_over = is_over
    users.queries.read(user_id=0)  # opens the connection


def _mark(number: int) -> dict[str, float]:
    attempt = Attempt("", "", datetime.now(UTC))
    began = time.perf_counter()
    [_] = users.queries.mark_deleted(ACCOUNT, attempt, verified_hash="hash")
    marked = time.perf_counter()
    [post] = posts.queries.mark_deleted(principal_of(2), post_id=number - HOT_POST_FROM_THE_END)
    if not post.post_exists:
        raise LookupError("the post of user 2 is missing")
    return {"account": (marked - began) * 1000, "post": (time.perf_counter() - marked) * 1000}


def _remove() -> dict[str, Removal]:
    """Remove what is due, as `maintenance.sweeper.handler` does."""
    removals = {}
    for kind, batches in tqdm(REMOVALS.items(), "deletion"):
        times, rows, began = [], 0, time.perf_counter()
        # The last statement removes nothing.
        for removed in itertools.chain(batches(), [0]):
            now = time.perf_counter()
            times.append((now - began) * 1000)
            rows, began = rows + removed, now
        removals[kind] = Removal(len(times), rows, sum(times) / 1000, median(times), max(times))
    return removals


def _act(number: int, seed: int, seconds: float) -> dict[str, list[float]]:
    """Vote and read for some time, or until the removal is over; return the milliseconds by statement.

    A statement that failed took infinitely long.
    """
    rng = random.Random(seed)  # noqa: S311  # not a secret
    first_page = ListParameters(0, "", 10, 0, *FIRST_PAGE["new"])
    times: dict[str, list[float]] = {"a vote": [], "the first page": []}

    def run(name: str, statement: Statement[..., Any], *args: Any, **values: int) -> None:  # noqa: ANN401
        began = time.perf_counter()
        try:
            statement(*args, **values)
        except UnavailableError:
            times[name].append(inf)
        else:
            times[name].append((time.perf_counter() - began) * 1000)

    end = time.perf_counter() + seconds
    while time.perf_counter() < end and not _is_over.is_set():
        voter, post_id = principal_of(rng.randint(2, number)), rng.randint(1, number // 2)
        for statement in (votes.queries.cast, votes.queries.retract):
            run("a vote", statement, voter, post_id=post_id, per_day=MAX_DAILY_QUOTA, verified_only=False)
        run("the first page", posts.lists.feed_new, voter, first_page)
    return times


def _others(when: str, clients: Sequence[dict[str, list[float]]]) -> dict[str, Others]:
    others = {}
    for name in clients[0]:
        times = [ms for client in clients for ms in client[name]]
        failed = times.count(inf)
        others[f"{name}, {when}"] = Others(
            len(times), failed, median(times), sorted(times)[len(times) * 99 // 100], max(times)
        )
    return others
