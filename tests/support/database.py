"""Access of tests to the database that the functions use."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import UUID

import pg8000.native

from common.principal import Principal

# bcrypt with the lowest cost, so that a test that only needs an account does not wait for a hash.
PASSWORD = "correct horse"
PASSWORD_HASH = "$2b$04$r3LvJ73t.OyJxojt0lrizunUHDZ4ZWAerOgK8pIcQuxaa0rJ5UHEu"
# The quota for statements in tests that do not reach it.
PER_DAY = 1_000
# Defaults of a database or a role that change how PostgreSQL writes text and times.
OTHER_DEFAULTS = {"client_encoding": "LATIN1", "DateStyle": "SQL, DMY", "TimeZone": "Asia/Kolkata"}

# TRUNCATE costs 100 times as much as deleting a few rows, because it creates a file for each table and index.
# It is used when a table has grown, because deleted rows take space. A replica runs no triggers.
EMPTY = """
    DO $$ BEGIN
        IF EXISTS (
            SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND pg_relation_size(oid) > 65536
        ) THEN
            TRUNCATE {tables};
        ELSE
            SET LOCAL session_replication_role = replica;
            {delete};
        END IF;
    END $$
"""

# A locale in which lower() changes ASCII letters only.
LOCALE_C = "TEMPLATE template0 LOCALE 'C' ENCODING 'UTF8'"


def principal_of(user_id: int) -> Principal:
    """Return the principal of a user with the session that `add_session` adds."""
    return Principal(user_id, str(UUID(int=user_id)))


def connect(url: str) -> pg8000.native.Connection:
    """Return a connection to the database at a URL without a password."""
    parts = urlsplit(url)
    return pg8000.native.Connection(
        parts.username,
        host=parts.hostname,
        port=parts.port,
        database=parts.path.strip("/"),
        ssl_context=False,
    )


class Database:
    """Inserts test data and reads the tables, without the functions."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = connect(url)
        tables = self.run(
            "SELECT quote_ident(tablename) FROM pg_tables"
            " WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        )
        self._empty = EMPTY.format(
            tables=", ".join(table for [table] in tables),
            delete="; ".join(f"DELETE FROM {table}" for [table] in tables),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def run(self, sql: str, **values: object) -> list[list[Any]]:
        """Run a statement; `:name` in it is replaced by the value with that name."""
        rows: list[list[Any]] | None = self._connection.run(sql, **values)
        return rows or []

    def value(self, sql: str, **values: object) -> Any:  # noqa: ANN401  # any type that a column can have
        """Return the one value that a statement selects."""
        [[value]] = self.run(sql, **values)
        return value

    @contextmanager
    def new_database(self, options: str = "") -> Iterator[str]:
        """Yield the URL of an empty database on the same server; it is dropped afterwards."""
        name = f"test_{uuid.uuid4().hex}"
        self.run(f"CREATE DATABASE {name} {options}")
        try:
            yield urlsplit(self.url)._replace(path=f"/{name}").geturl()
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def wait_for_locks(self, number: int) -> None:
        """Return when at least this many connections wait for a lock."""
        waiting = (
            "SELECT count(*) >= :number FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        assert any(self.value(waiting, number=number) for _ in range(100_000))

    def empty(self) -> None:
        """Delete every row of every table."""
        self.run(self._empty)

    def add_user(self, email: str = "ada@example.com") -> int:
        """Add a user who has `PASSWORD` and the session of `principal_of`, and return the id."""
        sql = "INSERT INTO users (email, password) VALUES (:email, :password) RETURNING id"
        user_id: int = self.value(sql, email=email, password=PASSWORD_HASH)
        self.add_session(user_id)
        return user_id

    def add_session(self, user_id: int) -> None:
        """Add the session that `principal_of` returns."""
        sql = "INSERT INTO sessions (id, user_id) VALUES (CAST(:id AS uuid), :user_id)"
        self.run(sql, id=principal_of(user_id).session_id, user_id=user_id)

    def add_mail_token(
        self, user_id: int, token_hash: str, email: str, purpose: str = "verification"
    ) -> None:
        """Add the hash of a token that works for a day."""
        self.run(
            "INSERT INTO mail_tokens SELECT id, :purpose, 1, :hash, :email, :email,"
            " sha256(convert_to(password || ' ' || users.email, 'UTF8')), now() + interval '1 day'"
            " FROM users WHERE id = :user_id",
            user_id=user_id,
            purpose=purpose,
            hash=token_hash,
            email=email,
        )

    def add_post(
        self,
        owner: int,
        title: str = "Title",
        *,
        published: bool = True,
        created_at: datetime | None = None,
    ) -> int:
        """Insert a post, by default with the current time, and return its id."""
        sql = (
            "INSERT INTO posts (owner_id, title, content, published, created_at) VALUES"
            " (:owner, :title, 'Content', :published, coalesce(CAST(:created_at AS timestamptz), now()))"
            " RETURNING id"
        )
        post_id: int = self.value(sql, owner=owner, title=title, published=published, created_at=created_at)
        return post_id

    def add_vote(self, user_id: int, post_id: int) -> None:
        """Insert a vote."""
        self.run(
            "INSERT INTO votes (user_id, post_id) VALUES (:user_id, :post_id)",
            user_id=user_id,
            post_id=post_id,
        )
