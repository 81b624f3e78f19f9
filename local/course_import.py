"""Imports the users, posts and votes of a database with the schema of the course application.

Everything is read in one snapshot and written in one transaction, so an import that fails leaves an empty
database.
"""

import io
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

import pg8000
from sqlalchemy.exc import DBAPIError

from common.emails import lower_case, normalize_if_valid
from common.passwords import DUMMY_HASH
from common.schemas import MAX_EMAIL_LENGTH
from common.settings import DatabaseSettings, SettingsError
from local.database import reason
from local.errors import LocalRunError
from local.gateway.console import write_line
from local.progress import show_progress
from migrations.connect import engine
from posts.schemas import MAX_CONTENT_LENGTH, MAX_TITLE_LENGTH, OLD_MAX_TITLE_LENGTH

# The columns of the course, with those that order the rows first.
COLUMNS = {
    "users": ("id", "email", "password", "created_at", "phone_number"),
    "posts": ("id", "title", "content", "published", "created_at", "owner_id"),
    "votes": ("user_id", "post_id"),
}
# Their primary keys. In this order, the index of the key has the rows that follow.
KEYS = {"users": ("id",), "posts": ("id",), "votes": ("user_id", "post_id")}
# A late revision of the course adds this column, so some databases do not have it.
OPTIONAL = ("users", "phone_number")
BATCH = 2_000
MAX_SHOWN = 50
BCRYPT_HASH = re.compile(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./0-9A-Za-z]{53}")
# RFC 2606 reserves this domain: no mail reaches it.
PLACEHOLDER = "imported-{id}@example.invalid"
# Only our schema has this table.
OUR_TABLE = "post_ranks"

SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
ALL_COLUMNS = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
LONG_TEXTS = (
    "SELECT id, char_length(title), char_length(content) FROM posts"  # noqa: S608  # numbers
    f" WHERE char_length(title) > {MAX_TITLE_LENGTH} OR char_length(content) > {MAX_CONTENT_LENGTH}"
    " ORDER BY id"
)
# Creating an index at the end takes a third of the time of filling it row by row.
INDEXES = (
    "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
    " JOIN pg_class ON pg_class.oid = indrelid"
    " WHERE relnamespace = 'public'::regnamespace AND NOT indisunique"
)
FOREIGN_KEYS_OF_VOTES = (
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE conrelid = 'votes'::regclass AND contype = 'f'"
)
COUNT_VOTES = (
    "UPDATE post_ranks SET vote_count = votes"
    " FROM (SELECT post_id, count(*) AS votes FROM votes GROUP BY post_id) AS counted"
    " WHERE counted.post_id = post_ranks.post_id"
)
SET_SEQUENCE = (
    "SELECT setval(pg_get_serial_sequence('{table}', 'id'), greatest(max(id), 1), max(id) IS NOT NULL)"
    " FROM {table}"
)


class Changes(NamedTuple):
    """What an import changes.

    Attributes:
        emails: The addresses to replace, by the id of their users.
        passwords: The ids of the users who get the hash of a password that nobody knows.
        lines: A line for each row that changes, or that the API does not show as it is.

    """

    emails: dict[int, str]
    passwords: set[int]
    lines: list[str]


def is_course_database(database: DatabaseSettings) -> bool:
    """Tell from the names of tables and columns whether a database has the schema of the course.

    Raises `LocalRunError` when it cannot be reached.
    """
    with _cursor(database, SNAPSHOT) as cursor:
        return _has_course_tables(_columns(cursor))


def _columns(cursor: Any) -> set[tuple[str, str]]:  # noqa: ANN401  # pg8000 has no types
    return {(table, column) for table, column in _rows(cursor, ALL_COLUMNS)}


def _has_course_tables(columns: set[tuple[str, str]]) -> bool:
    needed = {(table, column) for table, names in COLUMNS.items() for column in names} - {OPTIONAL}
    return needed <= columns and OUR_TABLE not in {table for table, _ in columns}


def import_course(source: DatabaseSettings, target: DatabaseSettings, *, accept_changes: bool) -> None:
    """Copy everything from the database of a course application into an empty database of this project.

    Raises `LocalRunError`, and writes nothing, when a database cannot be reached or is not what it should be,
    when rows would be changed and `accept_changes` is false, or when a database fails. If it fails during the
    commit, the exception says that everything or nothing was written.
    """
    unwritten = f"nothing was written, {target.name} is as empty as before: remove the cause and import again"
    with ExitStack() as stack:
        stack.enter_context(_one_message("the import failed", unwritten))
        reader = stack.enter_context(_cursor(source, SNAPSHOT))
        writer = stack.enter_context(_cursor(target, "SET LOCAL maintenance_work_mem = '256MB'"))
        columns = _columns(reader)
        if not _has_course_tables(columns):
            raise LocalRunError(f"{source.name} does not have the tables of the course application")
        if _rows(writer, "SELECT id FROM users LIMIT 1"):
            raise LocalRunError(f"{target.name} has users already: import into an empty one (`make reset`)")
        changes = _find_changes(reader)
        for line in changes.lines[:MAX_SHOWN]:
            write_line(line)
        if len(changes.lines) > MAX_SHOWN:
            write_line(f"... and {len(changes.lines) - MAX_SHOWN} more")
        if changes.lines and not accept_changes:
            raise LocalRunError("nothing was written; to import with these changes, add ACCEPT=changes")
        indexes = _rows(writer, INDEXES)
        for name, _ in indexes:
            writer.execute(f"DROP INDEX {name}")
        # Checking and counting all votes at the end takes a fifth of the time of triggers and keys.
        foreign_keys = _rows(writer, FOREIGN_KEYS_OF_VOTES)
        for name, _ in foreign_keys:
            writer.execute(f"ALTER TABLE votes DROP CONSTRAINT {name}")
        writer.execute("ALTER TABLE votes DISABLE TRIGGER USER")
        counts = _copy_all(reader, writer, columns, changes)
        write_line("Counting the votes, and creating the indexes ...")
        for name, definition in foreign_keys:
            writer.execute(f"ALTER TABLE votes ADD CONSTRAINT {name} {definition}")
        writer.execute("ALTER TABLE votes ENABLE TRIGGER USER")
        writer.execute(COUNT_VOTES)
        for _, definition in indexes:
            writer.execute(definition)
        writer.execute("ANALYZE")
        with _one_message("the commit failed", _unknown_outcome(target)):
            writer.execute("COMMIT")
    write_line("Imported " + ", ".join(f"{count} {table}" for table, count in counts.items()) + ".")


@contextmanager
def _one_message(what: str, state: str) -> Iterator[None]:
    """Turn an error of a database into one message: what failed, why, and what its state is."""
    try:
        yield
    except (pg8000.Error, DBAPIError, OSError) as error:
        raise LocalRunError(f"{what}: {reason(error)}; {state}") from None


def _unknown_outcome(target: DatabaseSettings) -> str:
    return (
        f"{target.name} has either all rows or none: if the table users is still empty in `make psql`,"
        " import again"
    )


def _find_changes(reader: Any) -> Changes:  # noqa: ANN401  # pg8000 has no types
    emails, passwords, lines = changes = Changes({}, set(), [])
    owners: dict[str, int] = {}
    for user, email, password in _rows(reader, "SELECT id, email, password FROM users ORDER BY id"):
        stored = normalize_if_valid(email) if len(email) <= MAX_EMAIL_LENGTH else email
        owner = owners.setdefault(lower_case(stored), user)
        if owner != user:
            stored = PLACEHOLDER.format(id=user)
            lines.append(f"user {user}: {email} is the address of user {owner}, too; it becomes {stored}")
        elif len(email) > MAX_EMAIL_LENGTH:
            lines.append(f"user {user}: the address has {len(email)} characters; nobody can log in with it")
        if stored != email:
            emails[user] = stored
        if not BCRYPT_HASH.fullmatch(password):
            passwords.add(user)
            lines.append(
                f"user {user}: the password is not a bcrypt hash; nobody can log in until it is reset"
            )
    for post, title, content in _rows(reader, LONG_TEXTS):
        if title > OLD_MAX_TITLE_LENGTH:
            shown = f"it stays, and the API returns {OLD_MAX_TITLE_LENGTH}"
            lines.append(f"post {post}: the title has {title} characters; {shown}")
        elif title > MAX_TITLE_LENGTH:
            lines.append(f"post {post}: the title has {title} characters; it stays until it is changed")
        if content > MAX_CONTENT_LENGTH:
            shown = f"it stays, and the API returns {MAX_CONTENT_LENGTH}"
            lines.append(f"post {post}: the content has {content} characters; {shown}")
    return changes


def _copy_all(
    reader: Any,  # noqa: ANN401  # pg8000 has no types
    writer: Any,  # noqa: ANN401
    columns: set[tuple[str, str]],
    changes: Changes,
) -> dict[str, int]:
    """Copy all tables in batches, and return the number of rows of each."""
    counts = {
        table: _rows(reader, f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608  # names from COLUMNS
        for table in COLUMNS
    }
    done, total = 0, sum(counts.values())
    for table, names in COLUMNS.items():
        present = [name for name in names if (table, name) in columns]
        written = [*present, "lower_case_email"] if table == "users" else present
        for batch in _batches(reader, table, present):
            lines = [_changed_user(line, changes) for line in batch] if table == "users" else batch
            writer.execute(
                f"COPY {table} ({', '.join(written)}) FROM STDIN", stream=io.BytesIO(b"".join(lines))
            )
            done += len(batch)
            show_progress(done, total)
        if table == "users":
            _set_lower_case(writer)
        if "id" in names:
            writer.execute(SET_SEQUENCE.format(table=table))
    return counts


def _set_lower_case(writer: Any) -> None:  # noqa: ANN401  # pg8000 has no types
    """Set the lower case of addresses with other letters than ASCII, which the locale may not know."""
    for user, email in _rows(
        writer, "SELECT id, email FROM users WHERE octet_length(email) > char_length(email)"
    ):
        writer.execute("UPDATE users SET lower_case_email = %s WHERE id = %s", (lower_case(email), user))


def _batches(reader: Any, table: str, columns: list[str]) -> Iterator[list[bytes]]:  # noqa: ANN401  # see above
    """Yield the rows of a table in PostgreSQL's text format, in the order of the primary key."""
    keys = KEYS[table]
    row, where = ", ".join(keys), ""
    while True:
        copied = io.BytesIO()
        query = f"SELECT {', '.join(columns)} FROM {table} {where} ORDER BY {row} LIMIT {BATCH}"  # noqa: S608  # names from COLUMNS
        reader.execute(f"COPY ({query}) TO STDOUT", stream=copied)
        batch = copied.getvalue().splitlines(keepends=True)
        if batch:
            yield batch
        if len(batch) < BATCH:
            return
        last = b", ".join(batch[-1].split(b"\t")[: len(keys)]).decode()
        where = f"WHERE ({row}) > ({last})"


def _changed_user(line: bytes, changes: Changes) -> bytes:
    """Return the row of a user with the changes, and with the address in lower case as well."""
    identifier, email, password, *others = line.removesuffix(b"\n").split(b"\t")
    user = int(identifier)
    if user in changes.emails:
        email = _escape(changes.emails[user])
    if user in changes.passwords:
        password = DUMMY_HASH.encode()
    return b"\t".join([identifier, email, password, *others, lower_case(email.decode()).encode()]) + b"\n"


def _escape(text: str) -> bytes:
    """Return a text in the format of COPY."""
    return text.replace("\\", "\\\\").encode()


def _rows(cursor: Any, sql: str) -> list[Any]:  # noqa: ANN401  # pg8000 has no types
    cursor.execute(sql)
    return list(cursor.fetchall())


@contextmanager
def _cursor(database: DatabaseSettings, first: str) -> Iterator[Any]:
    """Open a transaction with its first statement; it is rolled back at the end."""
    try:
        proxied = engine(database).raw_connection()
    except (pg8000.Error, DBAPIError, SettingsError, OSError) as error:
        # The exception that pg8000 raises for a refused connection has the system's message as its cause.
        why, place = reason(error), database.name
        if isinstance(error.__cause__, OSError):
            why = error.__cause__.strerror or str(error.__cause__)
            place += f" at {database.host}:{database.port}"
        raise LocalRunError(f"cannot connect to {place}: {why}") from None
    # The pool would log a traceback if it cannot roll back, because the server has closed the connection.
    proxied.detach()
    connection: Any = proxied.dbapi_connection
    try:
        cursor = connection.cursor()
        cursor.execute(first)
        yield cursor
    finally:
        with suppress(pg8000.Error):
            connection.close()
