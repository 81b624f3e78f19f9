"""Attempts to log in: failures count for an account and a client address together, and for each alone."""

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

import auth.queries
import auth.recovery
from common import authentication, queries
from common.rows import Attempt
from tests.support.database import PASSWORD, PASSWORD_HASH, Database, connect
from tests.support.lambdas import Response, call, invoke, new_event

FREE = 20
FREE_OF_STRANGERS = 2
FREE_OF_CLIENTS = 100
ATTACK = 100
OWNER, ATTACKER = "198.51.100.23", "203.0.113.7"

pytestmark = pytest.mark.usefixtures("_cheap_hashes")


def log_in(password: str, email: str = "ada@example.com", client: str = OWNER) -> Response:
    event = new_event("login", body=urlencode({"username": email, "password": password}))
    event["requestContext"]["identity"]["sourceIp"] = client
    return invoke(event)


def fail(times: int, email: str = "ada@example.com", client: str = OWNER) -> None:
    for _ in range(times):
        assert log_in("wrong", email, client).status == 403


def key(client: str = "", email: str = "") -> bytes:
    text = f"{client} {email}" if email else client
    return hashlib.sha256(text.encode()).digest()


PAIR = key(OWNER, "ada@example.com")
ACCOUNT = key("", "ada@example.com")


def row(database: Database, of: bytes) -> tuple[int, int]:
    """Return how many failures and reservations a row has."""
    sql = "SELECT failures, cardinality(reservations) FROM login_attempts WHERE key = :key"
    [[failures, reservations]] = database.run(sql, key=of)
    return failures, reservations


def set_failures(database: Database, of: bytes, failures: int) -> None:
    database.run(
        "UPDATE login_attempts SET failures = :failures, failed_at = clock_timestamp() WHERE key = :key",
        failures=failures,
        key=of,
    )


def pass_time(database: Database, seconds: float) -> None:
    """Let everything be so much longer ago, or with a negative number, so much later."""
    database.run(
        "UPDATE login_attempts SET failed_at = failed_at - step, forgotten_at = forgotten_at - step,"
        " touched_at = touched_at - step,"
        " reservations = ARRAY(SELECT each - step FROM unnest(reservations) AS each)"
        " FROM (SELECT make_interval(secs => :seconds)) AS time (step)",
        seconds=seconds,
    )


@pytest.mark.usefixtures("ada")
def test_after_twenty_failures_even_the_right_password_has_to_wait(database: Database) -> None:
    fail(FREE)
    pass_time(database, -60)  # so that a slow machine does not let the pause pass
    response = log_in(PASSWORD)
    assert response.status == 429
    seconds = int(response.headers["Retry-After"][0])
    assert 60 < seconds <= 61
    assert response.json() == {"detail": f"Too many attempts, try again in {seconds} s"}
    pass_time(database, seconds)
    assert log_in(PASSWORD).status == 200


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    ("failures", "pause"), [(20, 1), (23, 8), (24, 16), (25, 32), (26, 60), (27, 60), (10_000, 60)]
)
def test_each_further_failure_doubles_the_pause_up_to_a_minute(
    failures: int, pause: int, database: Database
) -> None:
    fail(1)
    set_failures(database, PAIR, failures)
    pass_time(database, -1)
    response = log_in("wrong")
    assert response.status == 429
    assert pause < int(response.headers["Retry-After"][0]) <= pause + 1
    pass_time(database, pause + 1)
    fail(1)
    assert row(database, PAIR) == (failures + 1, 0)


@pytest.mark.usefixtures("ada")
def test_after_a_pause_one_attempt_is_made_at_a_time(database: Database) -> None:
    fail(1)
    set_failures(database, PAIR, FREE + 6)
    pass_time(database, 60)
    assert queries.reserve_attempt_by_email(account="ada@example.com", client=OWNER)[0].reserved_until
    assert log_in(PASSWORD).status == 429
    pass_time(database, 10)
    assert log_in(PASSWORD).status == 200


@pytest.mark.usefixtures("ada")
def test_a_refused_attempt_does_not_prolong_the_pause(database: Database) -> None:
    fail(FREE)
    pass_time(database, -60)
    for _ in range(5):
        assert log_in("wrong").status == 429
    pass_time(database, 61)
    assert log_in(PASSWORD).status == 200


@pytest.mark.usefixtures("ada")
def test_a_correct_password_clears_the_failures_of_its_address_on_the_account(database: Database) -> None:
    fail(FREE - 1)
    assert log_in(PASSWORD).status == 200
    assert row(database, PAIR) == (0, 0)
    fail(FREE)
    # The totals of the address and of the account go on.
    assert row(database, key(OWNER)) == (2 * FREE - 1, 0)
    assert row(database, ACCOUNT) == (2 * FREE - 1, 0)


@pytest.mark.usefixtures("ada")
def test_the_failures_of_an_address_on_an_account_are_forgotten_fifteen_minutes_after_the_last(
    database: Database,
) -> None:
    fail(FREE - 1)
    pass_time(database, 14 * 60)
    fail(1)
    pass_time(database, 14 * 60)
    fail(1)
    assert row(database, PAIR) == (FREE + 1, 0)
    pass_time(database, 15 * 60)
    fail(1)
    assert row(database, PAIR) == (1, 0)


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(("of", "minutes"), [(key(OWNER), 15), (ACCOUNT, 60)])
def test_a_total_is_forgotten_some_time_after_its_first_failure(
    of: bytes, minutes: int, database: Database
) -> None:
    fail(1)
    pass_time(database, minutes * 60 - 30)
    fail(1)
    assert row(database, of) == (2, 0)
    pass_time(database, 30)
    fail(1)
    assert row(database, of) == (1, 0)


@pytest.mark.usefixtures("ada")
def test_the_owner_logs_in_while_another_address_fails_all_the_time(database: Database) -> None:
    fail(1)
    fail(FREE, client=ATTACKER)
    pass_time(database, -60)
    for _ in range(5):
        assert log_in("wrong", client=ATTACKER).status == 429
        assert log_in(PASSWORD, client=OWNER).status == 200


def test_an_account_that_does_not_exist_is_treated_alike(database: Database, ada: int) -> None:
    responses = []
    for email in ("ada@example.com", "nobody@example.com"):
        fail(FREE, email)
        pass_time(database, -60)
        response = log_in("wrong", email.upper())
        responses.append((response.status, response.headers["Retry-After"], response.body))
    assert responses[0] == responses[1]
    assert database.value("SELECT count(*) FROM users WHERE id = :ada", ada=ada) == 1


@pytest.mark.usefixtures("ada")
def test_neither_what_was_typed_nor_the_client_address_is_stored(database: Database) -> None:
    fail(1, "my secret, typed into the wrong field")
    keys = [bytes(each) for [each] in database.run("SELECT key FROM login_attempts")]
    assert [len(each) for each in keys] == [32, 32, 32]
    assert not any(b"secret" in each or OWNER.encode() in each for each in keys)


def test_an_attempt_removes_a_few_rows_that_nothing_touched_for_a_day(database: Database) -> None:
    old = "SELECT count(*) FROM login_attempts WHERE touched_at < now() - interval '1 day'"
    for number in range(10):
        fail(1, f"{number}@example.com")
    pass_time(database, 24 * 3600 - 60)
    fail(1, "new@example.com", ATTACKER)
    assert database.value("SELECT count(*) FROM login_attempts") == 2 * 10 + 1 + 3
    pass_time(database, 60)
    fail(1, "new@example.com", ATTACKER)
    assert database.value(old) == 2 * 10 + 1 - 5
    for _ in range(4):
        fail(1, "new@example.com", ATTACKER)
    assert database.value("SELECT count(*) FROM login_attempts") == 3


@pytest.mark.usefixtures("ada")
def test_an_attempt_uses_its_own_rows_however_old_they_are(database: Database) -> None:
    fail(1)
    pass_time(database, 25 * 3600)
    fail(1)
    assert row(database, PAIR) == row(database, key(OWNER)) == (1, 0)


@pytest.mark.usefixtures("ada")
def test_attempts_are_made_side_by_side_again_after_failures_were_forgotten(database: Database) -> None:
    fail(FREE)
    pass_time(database, 15 * 60)
    for _ in range(2):
        assert queries.reserve_attempt_by_email(account="ada@example.com", client=OWNER)[0].reserved_until


@pytest.mark.usefixtures("ada")
def test_an_attempt_does_not_wait_for_an_old_row_that_another_has_locked(database: Database) -> None:
    fail(1, "old@example.com", "203.0.113.8")
    pass_time(database, 25 * 3600)
    with closing(connect(database.url)) as other:
        other.run("BEGIN")
        other.run("SELECT FROM login_attempts FOR UPDATE")
        assert queries.reserve_attempt_by_email(account="ada@example.com", client=OWNER)[0].reserved_until
        other.run("ROLLBACK")
    assert database.value("SELECT count(*) FROM login_attempts") == 3 + 2


@pytest.mark.usefixtures("ada")
def test_a_row_that_is_used_again_is_not_removed(database: Database) -> None:
    fail(1)
    pass_time(database, 25 * 3600)
    fail(1)
    pass_time(database, 60)
    for number in range(3):
        fail(1, f"{number}@example.com", f"203.0.113.{number}")
    assert row(database, PAIR) == row(database, key(OWNER)) == row(database, ACCOUNT) == (1, 0)
    pass_time(database, 25 * 3600)
    reserved = queries.reserve_attempt_by_email(account="ada@example.com", client=OWNER)
    assert reserved[0].reserved_until
    for number in range(3):
        fail(1, f"{number}@example.com", f"203.0.113.{number}")
    assert row(database, PAIR) == row(database, key(OWNER)) == (1, 1)


@pytest.mark.usefixtures("ada")
def test_the_failures_of_an_account_are_not_removed_a_day_after_the_first(database: Database) -> None:
    fail(1)
    pass_time(database, 24 * 3600 - 60)
    fail(1)
    pass_time(database, 120)
    fail(1, "other@example.com", ATTACKER)
    assert row(database, ACCOUNT) == (1, 0)


def reserve_an_attempt(_: int, client: str) -> object:
    return queries.reserve_attempt_by_email(account="ada@example.com", client=client)


def record_a_failure(_: int, client: str) -> object:
    return queries.record_failure(Attempt("ada@example.com", client, datetime.max.replace(tzinfo=UTC)))


def open_a_session(user: int, client: str) -> object:
    attempt = Attempt("ada@example.com", client, datetime.max.replace(tzinfo=UTC))
    return auth.queries.open_session(
        attempt, user_id=user, verified_hash=PASSWORD_HASH, token_hash="new", user_agent=None
    )


def reset_a_password(_: int, client: str) -> object:
    return auth.recovery.reset_password(token_hash="token", client=client, password="hash")


@pytest.mark.usefixtures("own_connection_per_thread")
# PostgreSQL may sort keys by their hashes, which differ, or read rows in the order in which they are stored.
@pytest.mark.parametrize("client", [f"198.51.100.{number}" for number in range(6)])
@pytest.mark.parametrize(
    "statement", [reserve_an_attempt, record_a_failure, open_a_session, reset_a_password]
)
def test_a_statement_locks_the_row_of_the_account_and_the_address_before_those_of_each(
    statement: Callable[[int, str], object], client: str, ada: int, database: Database
) -> None:
    # Otherwise two statements could wait for each other, and deadlock.
    fail(1, client=client)
    database.add_mail_token(ada, "token", "ada@example.com", "reset")
    pair = key(client, "ada@example.com")
    database.run("UPDATE login_attempts SET failures = failures WHERE key = :pair", pair=pair)  # moves it
    with ThreadPoolExecutor(1) as pool, closing(connect(database.url)) as other:
        other.run("BEGIN")
        other.run("SELECT FROM login_attempts WHERE key = :pair FOR UPDATE", pair=pair)
        waiting = pool.submit(statement, ada, client)
        database.wait_for_locks(1)
        free = database.run("SELECT key FROM login_attempts FOR UPDATE SKIP LOCKED")
        other.run("COMMIT")
        assert waiting.result()
    assert sorted(bytes(each) for [each] in free) == sorted([key(client), ACCOUNT])


@pytest.mark.usefixtures("ada", "own_connection_per_thread")
def test_simultaneous_attempts_do_not_pass_the_limit_together(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        rows = list(
            pool.map(
                lambda _: queries.reserve_attempt_by_email(account="ada@example.com", client=OWNER)[0],
                range(60),
            )
        )
    assert sum(each.reserved_until is not None for each in rows) == FREE
    assert row(database, PAIR) == (0, FREE)
    pass_time(database, 10)
    assert log_in(PASSWORD).status == 200
    assert row(database, PAIR) == (0, 0)


@pytest.mark.usefixtures("own_connection_per_thread")
def test_simultaneous_failures_are_all_counted(ada: int, database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        outcomes = Counter(pool.map(lambda _: attempt(ada, is_correct=False), range(FREE + 10)))
    assert outcomes["failed"] >= FREE
    assert row(database, PAIR) == (outcomes["failed"], 0)
    assert row(database, key(OWNER))[0] == row(database, ACCOUNT)[0] == outcomes["failed"]


@pytest.mark.usefixtures("own_connection_per_thread")
def test_twenty_simultaneous_logins_with_the_right_password_succeed(ada: int) -> None:
    with ThreadPoolExecutor(20) as pool:
        for _ in range(5):
            assert [*pool.map(lambda _: attempt(ada, is_correct=True), range(20))] == ["opened"] * 20


def attempt(user: int, *, is_correct: bool) -> str:
    """Do what a login does, without bcrypt: the handlers are not made for threads, the statements are."""
    reserved = queries.reserve_attempt_by_email(account="ada@example.com", client=OWNER)[0]
    if reserved.reserved_until is None:
        return "refused"
    reservation = Attempt(reserved.account, OWNER, reserved.reserved_until)
    if is_correct:
        assert auth.queries.open_session(
            reservation,
            user_id=user,
            verified_hash=PASSWORD_HASH,
            token_hash=secrets.token_hex(),
            user_agent=None,
        )
        return "opened"
    queries.record_failure(reservation)
    return "failed"


@pytest.mark.usefixtures("ada")
def test_a_request_that_crashes_leaves_no_failure(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> bool:
        raise KeyError

    with monkeypatch.context() as patch:
        patch.setattr(authentication, "verify_password", crash)
        assert [log_in(PASSWORD).status for _ in range(FREE)] == [500] * FREE
    assert row(database, PAIR) == (0, FREE)
    response = log_in(PASSWORD)
    assert response.status == 429
    assert response.headers["Retry-After"] == ["1"]
    pass_time(database, 10)
    assert log_in(PASSWORD).status == 200


def test_a_deleted_account_is_treated_as_one_that_does_not_exist(ada: int) -> None:
    assert call("delete_account", user=ada, body={"current_password": PASSWORD}).status == 204
    for account in ("ada@example.com", f"deleted {ada}"):
        [reserved] = queries.reserve_attempt_by_email(account=account, client=OWNER)
        assert (reserved.user_id, reserved.password_hash) == (None, None)


def attack_from_many_addresses(database: Database, addresses: int) -> None:
    for number in range(addresses):
        fail(1, client=f"192.0.2.{number}")
    total = ATTACK - addresses - FREE_OF_STRANGERS
    database.run("UPDATE login_attempts SET failures = failures + :n WHERE key = :key", n=total, key=ACCOUNT)


@pytest.mark.usefixtures("ada")
def test_an_account_under_attack_lets_strangers_fail_twice_and_others_as_often_as_ever(
    database: Database,
) -> None:
    assert log_in(PASSWORD, client=OWNER).status == 200
    attack_from_many_addresses(database, 5)
    fail(FREE_OF_STRANGERS + 1, client=ATTACKER)  # a hundred failures are no attack yet
    fail(FREE_OF_STRANGERS, client="203.0.113.8")
    set_failures(database, key("203.0.113.8", "ada@example.com"), FREE_OF_STRANGERS + 5)
    pass_time(database, -60)
    response = log_in("wrong", client="203.0.113.8")
    assert response.status == 429
    assert 60 + 31 < int(response.headers["Retry-After"][0]) <= 60 + 32
    fail(FREE, client=OWNER)
    # An address that the owner never used: the first attempt is always checked.
    assert log_in(PASSWORD, client="203.0.113.9").status == 200
    database.run("UPDATE login_attempts SET forgotten_at = clock_timestamp() WHERE key = :key", key=ACCOUNT)
    assert log_in("wrong", client="203.0.113.8").status == 403


@pytest.mark.usefixtures("ada")
def test_an_attack_on_one_account_does_not_limit_attempts_on_another(database: Database) -> None:
    fail(1, "bob@example.com", OWNER)
    set_failures(database, key("", "bob@example.com"), ATTACK + 1)
    fail(FREE_OF_STRANGERS + 1, client=ATTACKER)


@pytest.mark.usefixtures("ada")
def test_an_address_that_fails_on_many_accounts_is_slowed_on_all(database: Database) -> None:
    fail(1, "0@example.com", ATTACKER)
    set_failures(database, key(ATTACKER), FREE_OF_CLIENTS - 1)
    fail(1, "1@example.com", ATTACKER)
    pass_time(database, -60)
    response = log_in(PASSWORD, client=ATTACKER)
    assert response.status == 429
    assert 60 < int(response.headers["Retry-After"][0]) <= 61
    assert log_in(PASSWORD, client=OWNER).status == 200
    pass_time(database, 61)
    assert log_in(PASSWORD, client=ATTACKER).status == 200


@pytest.mark.usefixtures("ada", "own_connection_per_thread")
def test_simultaneous_attempts_of_an_address_on_many_accounts_do_not_pass_its_limit() -> None:
    with ThreadPoolExecutor(8) as pool:
        rows = list(
            pool.map(
                lambda number: queries.reserve_attempt_by_email(
                    account=f"{number}@example.com", client=ATTACKER
                )[0],
                range(FREE_OF_CLIENTS + 20),
            )
        )
    assert sum(each.reserved_until is not None for each in rows) == FREE_OF_CLIENTS


@pytest.mark.usefixtures("ada")
def test_attempts_that_an_account_refuses_do_not_count_against_the_address(database: Database) -> None:
    fail(FREE)
    pass_time(database, -60)
    for _ in range(3):
        assert log_in("wrong").status == 429
    assert row(database, key(OWNER)) == (FREE, 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:ffff::1"),
        ("::ffff:198.51.100.23", "198.51.100.23"),
    ],
)
@pytest.mark.usefixtures("ada")
def test_two_spellings_of_one_client_count_as_one(one: str, other: str, database: Database) -> None:
    fail(FREE, client=one)
    pass_time(database, -60)
    assert log_in(PASSWORD, client=other).status == 429


@pytest.mark.usefixtures("ada")
def test_clients_in_two_networks_and_forwarded_headers_do_not_count_together(database: Database) -> None:
    fail(FREE, client="2001:db8:1:2::1")
    pass_time(database, -60)
    assert log_in(PASSWORD, client="2001:db8:1:3::1").status == 200
    event = new_event(
        "login",
        body=urlencode({"username": "ada@example.com", "password": PASSWORD}),
        headers={"X-Forwarded-For": "2001:db8:1:3::1"},
    )
    event["requestContext"]["identity"]["sourceIp"] = "2001:db8:1:2::1"
    assert invoke(event).status == 429


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
    wrong = new_event(name, user=ada, body=body)
    wrong["requestContext"]["identity"]["sourceIp"] = OWNER
    response = invoke(wrong)
    assert response.status == 403
    assert response.json() == {"detail": "The current password is wrong"}
    assert row(database, PAIR) == (1, 0)
    fail(FREE - 1)
    pass_time(database, -60)
    assert invoke(wrong).status == 429
    assert log_in(PASSWORD).status == 429
