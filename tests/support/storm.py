"""Clients who vote, write, publish and delete at the same time, and a reader who checks what lists show."""

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import NamedTuple

import posts.lists
import posts.queries
import users.queries
import votes.queries
from common import database as common_database
from common.database import Statement
from common.errors import UnavailableError
from common.principal import Principal
from common.rows import Attempt
from maintenance.sweeper import REMOVALS
from posts.paging import FIRST_PAGE
from posts.rows import ListParameters
from tests.support.connections import run_sql
from tests.support.database import PASSWORD_HASH, PER_DAY, Database, connect, principal_of
from users.rows import Address

ACTIONS = {
    "cast": 45,
    "retract": 25,
    "edit": 15,
    "post": 12,
    "remove": 8,
    "sign_up": 4,
    "mark_account_deleted": 2,
    "delete_account": 2,
    "maintain": 2,
}
CLIENTS = 10
USERS = 12
# All clients act on the newest posts, so that they often act on the same one.
BUSY_POSTS = 8
LOCK_SECONDS = 0.005
MAX_LIMIT = 100
ATTEMPT = Attempt("", "", datetime.now(UTC))


class StoredVotesRow(NamedTuple):
    """The number of votes on a post that are stored."""

    post_id: int
    votes: int


STORED_VOTES: Statement[[], StoredVotesRow] = Statement(
    StoredVotesRow, "SELECT post_id, count(*) FROM votes GROUP BY post_id", (), writes=False
)


class Storm:
    """Concurrent clients; each thread needs a connection of its own (`connection_per_thread`).

    Attributes:
        snapshots: The number of snapshots in which lists were compared with the stored votes.
        snapshots_with_deltas: The number of these in which some votes were not in the counters yet.
        differences: Id, shown votes and stored votes of a post, wherever the two differed.
        refusals: The reasons of the requests that were refused with a 503. Both attempts met a deletion of
            what they refer to, or waited too long for an operator's DELETE of an account. That locks the
            account before the rows that refer to it, and a request locks them in the other order. PostgreSQL
            ends such a deadlock after a second, while others queue behind it.

    """

    def __init__(self, database: Database) -> None:
        self.snapshots = 0
        self.snapshots_with_deltas = 0
        self.differences: list[tuple[int, int, int]] = []
        self.refusals: list[str] = []
        self._url = database.url
        self._reader = principal_of(database.add_user("reader@example.com"))
        self._users = [database.add_user(f"user{number}@example.com") for number in range(USERS)]
        self._posts = [database.add_post(user) for user in self._users[:BUSY_POSTS]]
        self._numbers = itertools.count(USERS)
        self._is_over = threading.Event()

    def run(self, rounds: Callable[[], Iterable[object]]) -> None:
        """Let each client act once in each of `rounds()`, and the reader read until all have finished."""
        with ThreadPoolExecutor(CLIENTS + 2) as pool:
            others = [pool.submit(self._compare_lists), pool.submit(self._lock_counters)]
            clients = [pool.submit(self._act, seed, rounds()) for seed in range(CLIENTS)]
            try:
                for client in clients:
                    client.result()
            finally:
                self._is_over.set()
            for other in others:
                other.result()

    def _act(self, seed: int, rounds: Iterable[object]) -> None:
        rng = random.Random(seed)
        for _ in rounds:
            [action] = rng.choices(list(ACTIONS), list(ACTIONS.values()))
            user, post_id = rng.choice(self._users), rng.choice(self._posts[-BUSY_POSTS:])
            published = rng.random() < 0.9
            try:
                if action in {"sign_up", "mark_account_deleted", "delete_account", "maintain"}:
                    self._change_accounts(action, user)
                else:
                    self._write(action, principal_of(user), post_id, published=published)
            except UnavailableError as error:
                self.refusals.append(str(error))

    def _write(self, action: str, principal: Principal, post_id: int, *, published: bool) -> None:
        match action:
            case "cast":
                votes.queries.cast(principal, post_id=post_id, per_day=PER_DAY, verified_only=False)
            case "retract":
                votes.queries.retract(principal, post_id=post_id, per_day=PER_DAY, verified_only=False)
            case "edit":
                posts.queries.change(
                    principal,
                    post_id=post_id,
                    title="e",
                    content="c",
                    published=published,
                    per_day=PER_DAY,
                    verified_only=False,
                )
            case "post":
                rows = posts.queries.create(
                    principal,
                    title="t",
                    content="c",
                    published=published,
                    per_day=PER_DAY,
                    verified_only=False,
                )
                self._posts += [row.id for row in rows if row.id is not None]
            case "remove":
                posts.queries.mark_deleted(principal, post_id=post_id)

    def _change_accounts(self, action: str, user: int) -> None:
        if action == "sign_up":
            self._sign_up()
        elif action == "maintain":
            for batches in REMOVALS.values():
                next(batches(), None)
        elif len(self._users) > USERS // 2:
            # Other clients may still act as this user.
            self._users = [each for each in self._users if each != user]
            if action == "delete_account":
                delete_account(user)
            else:
                users.queries.mark_deleted(principal_of(user), ATTEMPT, verified_hash=PASSWORD_HASH)

    def _sign_up(self) -> None:
        email = f"user{next(self._numbers)}@example.com"
        [row] = users.queries.create(Address(email, email.lower()), password=PASSWORD_HASH, token_hash=None)
        sql = "INSERT INTO sessions (id, user_id) VALUES ($1::uuid, $2::integer)"
        connection = common_database.managed_connection()
        run_sql(connection, sql, principal_of(row.id).session_id, row.id, writes=True)
        self._users = [*self._users, row.id]

    def _compare_lists(self) -> None:
        connection = common_database.managed_connection()
        pages: list[tuple[posts.lists.ListStatement, ListParameters]] = [
            (posts.lists.feed_new, ListParameters(0, "", MAX_LIMIT, 0, *FIRST_PAGE["new"])),
            (posts.lists.feed_top, ListParameters(0, "", MAX_LIMIT, 0, *FIRST_PAGE["top"])),
        ]
        while not self._is_over.is_set():
            run_sql(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ")
            rows = [row for feed, page in pages for row in feed(self._reader, page)]
            stored = dict(STORED_VOTES())
            [[deltas]] = run_sql(connection, "SELECT count(*) FROM vote_deltas")
            run_sql(connection, "COMMIT")
            for listed in filter(None, (row.listed() for row in rows)):
                votes_stored = stored.get(listed.post.id, 0)
                if listed.votes != votes_stored:
                    self.differences.append((listed.post.id, listed.votes, votes_stored))
            self.snapshots += 1
            self.snapshots_with_deltas += deltas > 0

    def _lock_counters(self) -> None:
        with closing(connect(self._url)) as connection:
            while not self._is_over.is_set():
                connection.run("BEGIN")
                connection.run("SELECT FROM post_ranks FOR NO KEY UPDATE SKIP LOCKED")
                time.sleep(LOCK_SECONDS)
                connection.run("COMMIT")
                time.sleep(LOCK_SECONDS)


def delete_account(user: int) -> None:
    """Delete an account and, by cascade, its posts and its votes."""
    connection = common_database.managed_connection()
    run_sql(connection, "DELETE FROM users WHERE id = $1::integer", user, writes=True)
