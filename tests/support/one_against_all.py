"""One attacker sends the most expensive requests to a route, while ten clients work.

Each client, and each connection of the attacker, is a process with a database connection, like an execution
environment. The processes fork from one that has imported the functions.
"""

import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any, NamedTuple
from urllib.parse import urlencode

import auth.handler
import posts.handler
import users.handler
import votes.handler
from common import database, mail, passwords
from common.database import ManagedConnection, Statement
from common.opaque_tokens import digest
from common.settings import MAX_DAILY_QUOTA, database_settings
from tests.support.attacks import BY_EVENT, QUOTA, World
from tests.support.connections import NumberRow, run_sql
from tests.support.database import PASSWORD, PASSWORD_HASH, Database, principal_of
from tests.support.lambdas import Context, handlers, invoke, new_event

Command = Statement[[], NumberRow]

CLIENTS = 10
ATTACKERS = 4
ACCOUNTS = 20
POSTS = 60
VOTES = 20
START_SECONDS = 120.0
TIMEOUT_SECONDS = 60.0
# Of each process of the attacker: all of them together reach every limit.
MIN_REQUESTS = 8
COMMIT_SECONDS = 0.02
BEGIN: Command = Statement(NumberRow, "BEGIN", (), writes=False)
COMMIT: Command = Statement(NumberRow, "COMMIT", (), writes=False)
ROLLBACK: Command = Statement(NumberRow, "ROLLBACK", (), writes=False)
# Long enough for a list of the attacker's posts to reach its limit in bytes.
CONTENT = "x" * 50_000
REFRESH_TOKEN = "of the attacker"
USER_AGENT = "a" * 200
# Here, so that it is done before the processes fork.
HANDLERS = handlers()

# A client that waits for a lock which the attacker holds. Waiting for a file to grow is not one.
BLOCKED = """
SELECT waiting.query, blocking.query FROM pg_stat_activity waiting
JOIN pg_stat_activity blocking ON blocking.pid = ANY (pg_blocking_pids(waiting.pid))
WHERE waiting.application_name = 'client' AND blocking.application_name = 'attacker'
AND waiting.wait_event <> 'extend'
"""


class Sent(NamedTuple):
    """A request that was sent: to which event's route, with which response, after how many seconds."""

    event: str
    status: int
    has_retry_after: bool
    length: int
    seconds: float


class Outcome(NamedTuple):
    """What the attacker and the clients sent, and which statements of clients waited for the attacker."""

    attacker: list[Sent]
    clients: list[Sent]
    blocked: list[list[Any]]


def create_world(data: Database) -> World:
    """Fill an empty database."""
    attacker = data.add_user("attacker@example.com")
    clients = [data.add_user(f"client{number}@example.com") for number in range(CLIENTS)]
    accounts = [data.add_user(f"account{number}@example.com") for number in range(ACCOUNTS)]
    own_posts = [data.add_post(attacker, f"Post {number}") for number in range(POSTS)]
    client_posts = [data.add_post(client, "Title") for client in clients]
    busy_post = data.add_post(clients[0], "Busy")
    data.run("UPDATE posts SET content = :content WHERE owner_id = :id", content=CONTENT, id=attacker)
    data.run(
        "INSERT INTO votes (user_id, post_id) SELECT users.id, posts.id FROM users, posts"
        " WHERE users.id = ANY (:accounts) AND (posts.owner_id = :attacker OR posts.id = :busy)",
        accounts=accounts,
        attacker=attacker,
        busy=busy_post,
    )
    data.run(
        "INSERT INTO refresh_tokens (hash, session_id) VALUES (:hash, CAST(:session AS uuid))",
        hash=digest(REFRESH_TOKEN),
        session=principal_of(attacker).session_id,
    )
    # The clients log in more than a hundred times, which ends the sessions that were renewed longest ago.
    data.run("UPDATE sessions SET renewed_at = '9999-01-01' WHERE user_id = ANY (:clients)", clients=clients)
    own_sessions = [
        session
        for [session] in data.run(
            "INSERT INTO sessions (user_id, user_agent) SELECT :attacker, :user_agent"
            " FROM generate_series(1, 99) RETURNING CAST(id AS text)",
            attacker=attacker,
            user_agent=USER_AGENT,
        )
    ]
    return World(attacker, own_posts, own_sessions, accounts, REFRESH_TOKEN, clients, busy_post, client_posts)


class SlowConnection(ManagedConnection):
    """A connection whose commits take time, like those with a standby, so that its locks last longer."""

    def _attempt(self, statement: Statement[..., Any], values: Sequence[object]) -> list[list[Any]]:
        super()._attempt(BEGIN, ())
        try:
            rows = super()._attempt(statement, values)
            time.sleep(COMMIT_SECONDS)
        except BaseException:
            super()._attempt(ROLLBACK, ())
            raise
        super()._attempt(COMMIT, ())
        return rows


class Arena:
    """The processes of the attacker and of the clients."""

    def __init__(self, pool: ProcessPoolExecutor, data: Database, world: World) -> None:
        self._pool = pool
        self._database = data
        self._world = world
        self._sent = [0] * CLIENTS

    def run(self, event: str | None, seconds: float) -> Outcome:
        """Let the clients work, and unless `event` is None, let the attacker send requests like it."""
        self._database.run("TRUNCATE quota_usage, login_attempts")
        attackers = [
            self._pool.submit(_attack, self._world, event, number, seconds) for number in range(ATTACKERS)
        ]
        clients = [
            self._pool.submit(_work, self._world, number, sent, seconds)
            for number, sent in enumerate(self._sent)
        ]
        blocked = []
        while not all(each.done() for each in [*attackers, *clients]):
            blocked += self._database.run(BLOCKED)
            time.sleep(0.005)
        self._sent = [sent + len(client.result()) for sent, client in zip(self._sent, clients, strict=True)]
        return Outcome(_all(attackers), _all(clients), blocked)


@contextmanager
def arena(data: Database) -> Iterator[Arena]:
    """Fill a database, and start the processes; they end with the block. `data` is empty."""
    world = create_world(data)
    # Until Python 3.12, the process that forks does not know our path, and would import nothing.
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    context = get_context("forkserver")
    context.set_forkserver_preload(["__main__", __name__])
    processes = CLIENTS + ATTACKERS
    arguments = (data.url, context.Barrier(processes, timeout=START_SECONDS))
    with ProcessPoolExecutor(processes, context, _initialize, arguments) as pool:
        yield Arena(pool, data, world)


def _all(futures: Sequence[Future[list[Sent]]]) -> list[Sent]:
    return [sent for future in futures for sent in future.result()]


# In a process of the pool: returns when all processes are ready; a connection for each role.
_all_are_ready: Barrier
_connections: dict[str, ManagedConnection] = {}


def _initialize(url: str, barrier: Barrier) -> None:
    global _all_are_ready  # noqa: PLW0603  # only an inherited argument can carry it into the process
    _all_are_ready = barrier
    os.environ["DATABASE_URL"] = url
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the functions log there
    os.environ |= {"MAIL_FROM": "app@example.com", "APP_URL": "https://app.example.com"}
    mail.send = lambda mail: None  # noqa: ARG005  # the name is part of its type
    auth.handler.MIN_RESET_SECONDS = 0  # type: ignore[misc]
    passwords.BCRYPT_COST = 4  # so that the database has work, too
    passwords.DUMMY_HASH = PASSWORD_HASH
    # So that a busy machine is not a failure.
    database.STATEMENT_TIMEOUT_SECONDS = TIMEOUT_SECONDS  # type: ignore[misc]
    for role, connection in (("attacker", SlowConnection), ("client", ManagedConnection)):
        _connections[role] = connection(database_settings())
        run_sql(_connections[role], f"SET application_name TO {role}")


def _be(role: str, quota: int) -> None:
    """Use the connection of a role, and give all accounts a quota."""
    database.managed_connection = lambda: _connections[role]  # type: ignore[assignment]
    auth.handler.REFRESHES_PER_DAY = quota  # type: ignore[misc]
    posts.handler.POSTS_PER_DAY = quota  # type: ignore[misc]
    users.handler.PROFILE_CHANGES_PER_DAY = quota  # type: ignore[misc]
    votes.handler.VOTES_PER_DAY = quota  # type: ignore[misc]
    _all_are_ready.wait()


def _send(event: str, address: str, changes: dict[str, Any]) -> Sent:
    request = new_event(event, **changes)
    request["requestContext"]["identity"]["sourceIp"] = address
    began = time.perf_counter()
    response = invoke(request, Context(milliseconds=1000 * int(TIMEOUT_SECONDS)))
    seconds = time.perf_counter() - began
    return Sent(event, response.status, "Retry-After" in response.headers, len(response.body), seconds)


def _attack(world: World, event: str | None, number: int, seconds: float) -> list[Sent]:
    _be("attacker", QUOTA)
    sent: list[Sent] = []
    if event is not None:
        end = time.perf_counter() + seconds
        # Numbers of different processes differ, because some can be used only once.
        requests = iter(range(random.randrange(10**8) * ATTACKERS + number, 10**12, ATTACKERS))
        while time.perf_counter() < end or len(sent) < MIN_REQUESTS:
            sent.append(_send(event, "203.0.113.7", BY_EVENT[event].changes(world, next(requests))))
    return sent


def _work(world: World, number: int, first: int, seconds: float) -> list[Sent]:
    """Send what a client sends, from the request `first` on: each succeeds after those before it."""
    _be("client", MAX_DAILY_QUOTA)
    me, post = world.clients[number], world.posts[number]
    form = urlencode({"username": f"client{number}@example.com", "password": PASSWORD})
    body = {"title": "Title", "content": "Content"}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("vote", {"user": me, "body": {"post_id": world.busy_post, "dir": 1}}),
        ("list_posts", {"user": me}),
        ("read_post", {"user": me, "item": post}),
        ("vote", {"user": me, "body": {"post_id": world.busy_post, "dir": 0}}),
        ("change_post", {"user": me, "item": post, "body": body}),
        ("read_account", {"user": me}),
        ("update_account", {"user": me, "body": {"phone_number": "1"}}),
        ("create_post", {"user": me, "body": body}),
        ("login", {"body": form}),
    ]
    sent: list[Sent] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        event, changes = requests[(first + len(sent)) % len(requests)]
        sent.append(_send(event, f"198.51.100.{number}", changes))
    return sent
