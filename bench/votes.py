"""Measures the votes per second on one post and on many posts, for each duration of a commit.

A commit takes milliseconds where it is sent to a standby. A counter that is locked until the commit then
limits the votes on one post.
"""

import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from statistics import quantiles
from typing import Final, NamedTuple

from tqdm import tqdm

from bench.databases import Size, fill
from common.settings import MAX_DAILY_QUOTA
from local.postgres import Cluster, temporary_directory
from tests.support.database import connect, principal_of
from votes import queries

SIZE: Final = Size(users=5_000, posts=10_000, votes=10_000)
CLIENTS: Final = 16
# Every tenth post is a draft, on which others cannot vote.
POSTS: Final = {"one post": [1], "5,000 posts": [post for post in range(1, 5_556) if post % 10]}
COMMIT_MS: Final = (0, 4)
# The processes of the clients start in less time.
START_SECONDS: Final = 60.0
# The sessions of `principal_of`.
ADD_SESSIONS: Final = """
    INSERT INTO sessions (id, user_id) SELECT lpad(to_hex(id), 32, '0')::uuid, id FROM users
"""


# In the process of a client: returns when all clients are ready to vote.
_all_are_ready: Barrier


class VoteRate(NamedTuple):
    """The votes and retractions per second of all clients, and the 99th percentile of their time in ms."""

    per_second: float
    p99_ms: float


VoteRates = dict[int, dict[str, VoteRate]]


def measure(seconds: float) -> VoteRates:
    """Return the rates on one post and on many, by the milliseconds that are added to a commit."""
    directory = temporary_directory()
    try:
        # Not a throwaway cluster, whose commits write nothing to the disk.
        with Cluster(directory) as cluster:
            cluster.create_database("votes")
            url = cluster.url("votes")
            fill(url, SIZE)
            cluster.execute(ADD_SESSIONS, "votes")
            spawn = get_context("spawn")
            arguments = (url, spawn.Barrier(CLIENTS, timeout=START_SECONDS))
            with ProcessPoolExecutor(CLIENTS, spawn, _initialize, arguments) as pool:
                return {ms: _rates(pool, url, ms, seconds) for ms in tqdm(COMMIT_MS, "votes")}
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _rates(pool: ProcessPoolExecutor, url: str, commit_ms: int, seconds: float) -> dict[str, VoteRate]:
    with closing(connect(url)) as connection:
        connection.run(f"ALTER SYSTEM SET commit_delay = {commit_ms * 1000}")
        # Delay the commit even if no other transaction is open.
        connection.run("ALTER SYSTEM SET commit_siblings = 0")
        connection.run("SELECT pg_reload_conf()")
    return {name: _rate(pool, posts, seconds) for name, posts in POSTS.items()}


def _rate(pool: ProcessPoolExecutor, posts: Sequence[int], seconds: float) -> VoteRate:
    clients = [pool.submit(_vote, client, posts, seconds) for client in range(CLIENTS)]
    times = [ms for client in clients for ms in client.result()]
    return VoteRate(len(times) / seconds, quantiles(times, n=100)[-1])


def _initialize(url: str, barrier: Barrier) -> None:
    """Prepare the process of a client."""
    global _all_are_ready  # noqa: PLW0603  # only an inherited argument can carry it into the process
    os.environ.update(STAGE="local", DATABASE_URL=url)
    _all_are_ready = barrier


def _vote(client: int, posts: Sequence[int], seconds: float) -> list[float]:
    """Cast and retract votes, together with the other clients; return the milliseconds that each took."""
    times = []
    number = client
    # Opens the connection.
    queries.retract(principal_of(1), post_id=0, per_day=MAX_DAILY_QUOTA, verified_only=False)
    _all_are_ready.wait()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        number += CLIENTS
        voter, post_id = principal_of(1 + number % SIZE.users), posts[number % len(posts)]
        for statement in (queries.cast, queries.retract):
            began = time.perf_counter()
            statement(voter, post_id=post_id, per_day=MAX_DAILY_QUOTA, verified_only=False)
            times.append((time.perf_counter() - began) * 1000)
    return times
