"""A demo data set of users, posts and votes, the same at each run."""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from common.settings import DatabaseSettings, SettingsError
from local.database import reason
from local.errors import LocalRunError
from local.gateway.console import write_line
from local.progress import show_progress
from migrations.connect import engine

USERS, POSTS, VOTES = 200, 2_000, 20_000
CHUNK = 500
PASSWORD = "password"  # noqa: S105  # the password of every demo user, which the output shows
# The bcrypt hash of the password at the usual cost. Hashing it for each user would take a minute.
HASH = "$2b$12$nORnSANMUA3FV6ZfRHn6UurqFsm9uJVwHMK5PxyYk/lXb9hl.GLO6"
LAST_POST = datetime(2026, 11, 1, tzinfo=UTC)
PUBLISHED_SHARE = 0.95

NAMES = ("ada", "alan", "barbara", "donald", "edsger", "frances", "grace", "john", "katherine", "ken")
OPENINGS = ("Thoughts on", "A week with", "In praise of", "Against", "How I learned to love", "Notes from")
SUBJECTS = (
    "rivers",
    "mountains",
    "cats",
    "sourdough",
    "bicycles",
    "lighthouses",
    "chess",
    "rain",
    "typewriters",
)
SENTENCE = "It began as a small thing, and then it was not small any more. "

ADD_USERS = (
    "INSERT INTO users (email, password) SELECT unnest(CAST(:emails AS text[])), :hash"
    " ON CONFLICT DO NOTHING RETURNING id"
)
ADD_POSTS = (
    "INSERT INTO posts (owner_id, title, content, published, created_at) SELECT * FROM unnest("
    " CAST(:owners AS integer[]), CAST(:titles AS text[]), CAST(:contents AS text[]),"
    " CAST(:published AS boolean[]), CAST(:moments AS timestamptz[])) RETURNING id"
)
ADD_VOTES = (
    "INSERT INTO votes (user_id, post_id) SELECT * FROM unnest("
    " CAST(:voters AS integer[]), CAST(:posts AS integer[])) ON CONFLICT DO NOTHING"
)


def seed(database: DatabaseSettings) -> None:
    """Fill a database, unless it has the demo users already.

    Raises `LocalRunError` when the connection fails.
    """
    with _connect(database) as connection:
        emails = [f"{NAMES[number % len(NAMES)]}{number}@example.com" for number in range(USERS)]
        users = connection.scalars(text(ADD_USERS), {"emails": emails, "hash": HASH}).all()
        if len(users) < USERS:
            write_line("The database has the demo users already. To start again: `make reset`.")
            return
        generator = random.Random(1)  # noqa: S311  # makes a data set, not a secret
        total, done = POSTS + VOTES, 0
        posts: list[int] = []
        for chunk in _chunks(POSTS):
            posts += connection.scalars(text(ADD_POSTS), _posts(generator, users, chunk))
            done += len(chunk)
            show_progress(done, total)
        for chunk in _chunks(VOTES):
            # Squaring the random number makes some posts far more popular than others.
            voted = [posts[int(len(posts) * generator.random() ** 2)] for _ in chunk]
            connection.execute(
                text(ADD_VOTES), {"voters": generator.choices(users, k=len(chunk)), "posts": voted}
            )
            done += len(chunk)
            show_progress(done, total)
    write_line(
        f"{USERS} users, {POSTS} posts and their votes. Log in as {emails[0]} with the password {PASSWORD}."
    )


def _connect(database: DatabaseSettings) -> Connection:
    try:
        connection = engine(database).connect()
    except (DBAPIError, SettingsError, OSError) as error:
        raise LocalRunError(f"cannot connect to {database.name}: {reason(error)}") from None
    # One transaction takes five times as long, because the votes update the same rows repeatedly.
    return connection.execution_options(isolation_level="AUTOCOMMIT")


def _chunks(number: int) -> Iterator[range]:
    return (range(start, start + CHUNK) for start in range(0, number, CHUNK))


def _posts(generator: random.Random, users: Sequence[int], chunk: range) -> dict[str, list[object]]:
    return {
        "owners": [*generator.choices(users, k=len(chunk))],
        "titles": [f"{generator.choice(OPENINGS)} {generator.choice(SUBJECTS)}" for _ in chunk],
        "contents": [SENTENCE * generator.randint(1, 8) for _ in chunk],
        "published": [generator.random() < PUBLISHED_SHARE for _ in chunk],
        "moments": [LAST_POST - timedelta(minutes=17 * (POSTS - number)) for number in chunk],
    }
