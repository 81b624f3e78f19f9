"""The import of a database of the course application."""

from collections.abc import Iterator
from contextlib import contextmanager

import bcrypt
import pytest

from common.passwords import DUMMY_HASH
from common.settings import parse_database_url
from local.course_import import PLACEHOLDER, import_course, is_course_database
from local.database import migrate
from local.errors import LocalRunError
from posts.schemas import MAX_CONTENT_LENGTH, OLD_MAX_TITLE_LENGTH
from tests.support.counters import vote_counts
from tests.support.database import LOCALE_C, Database

# As the course's models create it; its last revision adds phone_number.
COURSE = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('1d2a5c6b7f8e');
CREATE TABLE users (
    id serial PRIMARY KEY, email varchar NOT NULL UNIQUE, password varchar NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), phone_number varchar
);
CREATE TABLE posts (
    id serial PRIMARY KEY, title varchar NOT NULL, content varchar NOT NULL,
    published boolean NOT NULL DEFAULT true, created_at timestamptz NOT NULL DEFAULT now(),
    owner_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE votes (
    user_id integer REFERENCES users (id) ON DELETE CASCADE,
    post_id integer REFERENCES posts (id) ON DELETE CASCADE, PRIMARY KEY (user_id, post_id)
);
"""
ALL = {
    "users": "SELECT id, email, password, created_at, phone_number FROM users ORDER BY id",
    "posts": "SELECT id, title, content, published, created_at, owner_id FROM posts ORDER BY id",
    "votes": "SELECT user_id, post_id FROM votes ORDER BY user_id, post_id",
}


@contextmanager
def new(database: Database, options: str = "") -> Iterator[Database]:
    with database.new_database(options) as url, Database(url) as created:
        yield created


@pytest.fixture
def course(worker_database: Database) -> Iterator[Database]:
    """Return an empty database of the course."""
    with new(worker_database) as created:
        for statement in filter(str.strip, COURSE.split(";")):
            created.run(statement)
        yield created


@pytest.fixture
def target(worker_database: Database) -> Iterator[Database]:
    """Return an empty database of this project."""
    with new(worker_database) as created:
        migrate(created.url)
        yield created


def add_user(course: Database, email: str, password: str = "$2b$12$" + "x" * 53) -> int:
    sql = "INSERT INTO users (email, password) VALUES (:email, :password) RETURNING id"
    return int(course.value(sql, email=email, password=password))


def add_post(course: Database, owner: int, title: str = "t", content: str = "c") -> int:
    sql = "INSERT INTO posts (owner_id, title, content) VALUES (:owner, :title, :content) RETURNING id"
    return int(course.value(sql, owner=owner, title=title, content=content))


def run(course: Database, target: Database, *, accept_changes: bool = False) -> None:
    source, destination = (parse_database_url(it.url, local=True) for it in (course, target))
    import_course(source, destination, accept_changes=accept_changes)


def test_everything_is_copied_with_its_ids_and_counts(
    course: Database, target: Database, worker_database: Database
) -> None:
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    ada, bob = add_user(course, "ada@example.com", hashed), add_user(course, "bob@example.com")
    course.run("UPDATE users SET phone_number = E'+1 \\\\\\t2' WHERE id = :id", id=ada)
    course.run("UPDATE users SET id = 900, created_at = '2020-02-03 04:05:06.789+07' WHERE id = :id", id=bob)
    special = add_post(course, ada, "tab \t backslash \\ new\nline \r é \\N", "\\.\n")
    draft = add_post(course, 900)
    course.run("UPDATE posts SET published = false WHERE id = :id", id=draft)
    course.run(
        "INSERT INTO votes SELECT users.id, posts.id FROM users, posts WHERE posts.id = :id", id=special
    )
    run(course, target)
    for sql in ALL.values():
        assert target.run(sql) == course.run(sql)
    assert vote_counts(target.run) == {special: 2, draft: 0}
    # New rows get ids after those that were imported, and new votes are checked and counted.
    assert target.add_user("carol@example.com") == 901
    assert target.add_post(901) == draft + 1
    target.add_vote(901, special)
    target.run("DELETE FROM posts WHERE id = :id", id=draft)
    assert vote_counts(target.run) == {special: 3, draft + 1: 0}
    keys = "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint ORDER BY 1, 2"
    assert target.run(keys) == worker_database.run(keys)


def test_addresses_have_the_same_lower_case_in_any_locale(
    course: Database, worker_database: Database
) -> None:
    add_user(course, "ÉVA@example.com")
    add_user(course, "ÉVA+e\u0301@example.com")  # stored with composed letters
    with new(worker_database, LOCALE_C) as target:
        migrate(target.url)
        run(course, target, accept_changes=True)
        rows = target.run("SELECT email, lower_case_email FROM users ORDER BY id")
    assert rows == [["ÉVA@example.com", "éva@example.com"], ["ÉVA+é@example.com", "éva+é@example.com"]]


def test_more_rows_than_a_batch_are_copied(course: Database, target: Database) -> None:
    ada = add_user(course, "ada@example.com")
    course.run(
        "INSERT INTO posts (owner_id, title, content) SELECT :ada, n, n FROM generate_series(1, 4001) AS n",
        ada=ada,
    )
    course.run("INSERT INTO votes SELECT :ada, id FROM posts", ada=ada)
    run(course, target)
    for sql in ALL.values():
        assert target.run(sql) == course.run(sql)


def test_changes_are_listed_before_anything_is_written(
    course: Database, target: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    ada, again = add_user(course, "ada@example.com"), add_user(course, "Ada@Example.com")
    plain = add_user(course, "eve@example.com", "plain")
    long = add_user(course, f"{'x' * 250}@example.com")
    title = add_post(course, ada, "t" * (OLD_MAX_TITLE_LENGTH + 1))
    old = add_post(course, ada, "t" * OLD_MAX_TITLE_LENGTH)
    content = add_post(course, ada, "t", "c" * (MAX_CONTENT_LENGTH + 1))
    with pytest.raises(LocalRunError, match=r"nothing was written; .* ACCEPT=changes"):
        run(course, target)
    assert target.value("SELECT count(*) FROM users") == 0
    placeholder = PLACEHOLDER.format(id=again)
    assert capsys.readouterr().err.splitlines() == [
        f"user {again}: Ada@Example.com is the address of user {ada}, too; it becomes {placeholder}",
        f"user {plain}: the password is not a bcrypt hash; nobody can log in until it is reset",
        f"user {long}: the address has 262 characters; nobody can log in with it",
        f"post {title}: the title has 1001 characters; it stays, and the API returns 1000",
        f"post {old}: the title has 1000 characters; it stays until it is changed",
        f"post {content}: the content has 50001 characters; it stays, and the API returns 50000",
    ]
    run(course, target, accept_changes=True)
    assert target.value("SELECT email FROM users WHERE id = :id", id=again) == placeholder
    assert target.value("SELECT password FROM users WHERE id = :id", id=plain) == DUMMY_HASH
    assert target.run(ALL["posts"]) == course.run(ALL["posts"])


def test_a_database_without_phone_numbers_can_be_imported(course: Database, target: Database) -> None:
    course.run("ALTER TABLE users DROP COLUMN phone_number")
    add_user(course, "ada@example.com")
    run(course, target)
    assert target.run("SELECT email, phone_number FROM users") == [["ada@example.com", None]]


def test_the_lower_case_of_an_address_does_not_depend_on_the_locale(
    course: Database, worker_database: Database
) -> None:
    add_user(course, "É@example.com")
    with worker_database.new_database(LOCALE_C) as url, Database(url) as target:
        migrate(url)
        run(course, target)
        assert target.value("SELECT lower_case_email FROM users") == "é@example.com"


def test_only_an_empty_database_is_imported_into(course: Database, target: Database) -> None:
    target.add_user()
    with pytest.raises(LocalRunError, match="has users already: import into an empty one"):
        run(course, target)


def test_a_database_that_cannot_be_reached_is_named(target: Database) -> None:
    nobody = parse_database_url("postgresql://user@127.0.0.1:1/fastapi", local=True)
    with pytest.raises(LocalRunError) as raised:
        import_course(nobody, parse_database_url(target.url, local=True), accept_changes=False)
    assert str(raised.value) == "cannot connect to fastapi at 127.0.0.1:1: Connection refused"


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ("RAISE EXCEPTION 'no space left on device'", "no space left on device"),
        # Depending on the moment, the client reads the server's message or notices that the connection ended.
        ("PERFORM pg_terminate_backend(pg_backend_pid())", ""),
    ],
    ids=["error", "lost connection"],
)
def test_a_failure_of_the_target_leaves_it_empty_and_says_so(
    failure: str, message: str, course: Database, target: Database, caplog: pytest.LogCaptureFixture
) -> None:
    add_post(course, add_user(course, "ada@example.com"))
    target.run(
        f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {failure}; RETURN NEW; END $$"
    )
    target.run("CREATE TRIGGER fail BEFORE INSERT ON posts FOR EACH ROW EXECUTE FUNCTION fail()")
    with pytest.raises(LocalRunError) as raised:
        run(course, target)
    assert str(raised.value).startswith(f"the import failed: {message}")
    assert "; nothing was written, test_" in str(raised.value)
    assert str(raised.value).endswith(" is as empty as before: remove the cause and import again")
    # The pool would log the traceback of a failed rollback.
    assert caplog.records == []
    assert target.value("SELECT count(*) FROM users") == 0
    target.run("DROP TRIGGER fail ON posts")
    run(course, target)
    assert target.run(ALL["posts"]) == course.run(ALL["posts"])


def test_a_failure_of_the_source_leaves_the_target_empty(
    course: Database, target: Database, caplog: pytest.LogCaptureFixture
) -> None:
    add_post(course, add_user(course, "ada@example.com"))
    course.run("ALTER TABLE posts RENAME TO stored_posts")
    course.run("CREATE VIEW posts AS SELECT * FROM stored_posts WHERE pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(LocalRunError, match=r"nothing was written, test_.* is as empty as before"):
        run(course, target)
    assert caplog.records == []
    assert target.value("SELECT count(*) FROM users") == 0


def test_a_failure_of_the_commit_says_how_to_find_out_what_is_written(
    course: Database, target: Database
) -> None:
    add_user(course, "ada@example.com")
    target.run(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$"
    )
    target.run(
        "CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION fail()"
    )
    with pytest.raises(
        LocalRunError, match=r"the commit failed: .* has either all rows or none: if the table"
    ):
        run(course, target)


def test_another_database_is_not_imported(course: Database, target: Database) -> None:
    with pytest.raises(LocalRunError, match="does not have the tables of the course application"):
        run(target, target)
    course.run("ALTER TABLE posts DROP COLUMN published")
    with pytest.raises(LocalRunError, match="does not have the tables of the course application"):
        run(course, target)
    assert not is_course_database(parse_database_url(course.url, local=True))


def test_make_dev_on_a_database_of_the_course_points_to_the_import(course: Database) -> None:
    with pytest.raises(LocalRunError, match="make import FROM=postgresql://"):
        migrate(course.url)
