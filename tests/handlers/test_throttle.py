"""The rate limit of login attempts, per account."""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest

from common import queries
from tests.support.database import PASSWORD, Database
from tests.support.lambdas import Response, call

FREE = 10

pytestmark = pytest.mark.usefixtures("_cheap_hashes")


def log_in(password: str, email: str = "ada@example.com") -> Response:
    return call("login", body=urlencode({"username": email, "password": password}))


def fail(times: int, email: str = "ada@example.com") -> None:
    for _ in range(times):
        assert log_in("wrong", email).status == 403


def wait(database: Database, seconds: int) -> None:
    """Move all failures back in time by this many seconds, or forward if the number is negative."""
    database.run("UPDATE login_failures SET last_at = last_at - make_interval(secs => :s)", s=seconds)


@pytest.mark.usefixtures("ada")
def test_after_ten_failures_even_the_correct_password_is_delayed(database: Database) -> None:
    fail(FREE)
    wait(database, -60)  # so that the delay does not end on a slow machine
    response = log_in(PASSWORD)
    assert response.status == 429
    seconds = int(response.headers["Retry-After"][0])
    assert response.json() == {"detail": f"Too many attempts, try again in {seconds} s"}
    wait(database, seconds)
    assert log_in(PASSWORD).status == 200


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    ("failures", "pause"), [(13, 8), (14, 16), (15, 32), (16, 64), (17, 64), (10_000, 64)]
)
def test_each_further_failure_doubles_the_delay_up_to_64_seconds(
    failures: int, pause: int, database: Database
) -> None:
    fail(1)
    database.run("UPDATE login_failures SET failures = :failures, last_at = now()", failures=failures)
    response = log_in("wrong")
    assert response.status == 429
    assert pause // 2 < int(response.headers["Retry-After"][0]) <= pause
    wait(database, pause)
    fail(1)


@pytest.mark.usefixtures("ada")
def test_an_attempt_during_the_delay_does_not_extend_it(database: Database) -> None:
    fail(FREE)
    wait(database, -60)
    for _ in range(5):
        assert log_in("wrong").status == 429
    wait(database, 61)
    assert log_in(PASSWORD).status == 200


@pytest.mark.usefixtures("ada")
def test_a_success_clears_all_failures(database: Database) -> None:
    fail(FREE - 1)
    assert log_in(PASSWORD).status == 200
    assert database.value("SELECT count(*) FROM login_failures") == 0
    fail(FREE)


@pytest.mark.usefixtures("ada")
def test_failures_expire_after_15_minutes(database: Database) -> None:
    fail(FREE)
    wait(database, 15 * 60)
    fail(1)
    assert database.value("SELECT failures FROM login_failures") == 1


@pytest.mark.usefixtures("ada")
def test_missing_accounts_have_the_same_rate_limit(database: Database) -> None:
    fail(FREE, "nobody@example.com")
    wait(database, -60)
    assert log_in("wrong", "NOBODY@example.com").status == 429
    assert log_in(PASSWORD).status == 200


@pytest.mark.usefixtures("ada")
def test_the_address_that_was_typed_is_not_stored(database: Database) -> None:
    fail(1, "my secret, typed into the wrong field")
    # Compare as bytes: the text form of a bytea is hexadecimal and would never contain the address.
    account = bytes(database.value("SELECT account FROM login_failures"))
    assert b"secret" not in account
    assert len(account) == hashlib.sha256().digest_size


def test_attempts_delete_expired_failures_of_others(database: Database) -> None:
    for number in range(6):
        fail(1, f"{number}@example.com")
    wait(database, 16 * 60)
    fail(3, "new@example.com")
    assert database.value("SELECT count(*) FROM login_failures") == 1


@pytest.mark.usefixtures("ada", "own_connection_per_thread")
def test_concurrent_attempts_do_not_exceed_the_limit(database: Database) -> None:
    begin = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda _: queries.attempt_by_email(email="ada@example.com")[0], range(40)))
    admitted = sum(row.allowed for row in rows)
    # One more attempt is allowed for every second that the test took.
    assert FREE <= admitted <= FREE + time.monotonic() - begin
    assert database.value("SELECT failures FROM login_failures") == admitted


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("update_account", {"email": "new@example.com", "current_password": "wrong"}),
        ("update_password", {"current_password": "wrong", "new_password": "new"}),
        ("delete_account", {"current_password": "wrong"}),
    ],
)
def test_a_wrong_current_password_counts_as_a_failed_login(
    name: str, body: object, ada: int, database: Database
) -> None:
    response = call(name, user=ada, body=body)
    assert response.status == 403
    assert response.json() == {"detail": "The current password is wrong"}
    assert database.value("SELECT failures FROM login_failures") == 1
    fail(FREE - 1)
    wait(database, -60)
    assert call(name, user=ada, body=body).status == 429
    assert log_in(PASSWORD).status == 429
