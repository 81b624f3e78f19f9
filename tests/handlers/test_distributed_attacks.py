"""Passwords are guessed from a thousand addresses, and by one address on a thousand accounts.

The statements of a login are called without bcrypt, which would take minutes.
"""

import secrets

import pytest

import auth.queries
from common import deadline, queries
from common.rows import Attempt
from tests.support.database import PASSWORD_HASH, Database
from tests.support.lambdas import Context

EMAIL = "ada@example.com"
HOME, ELSEWHERE, ATTACKER = "198.51.100.23", "198.51.100.24", "203.0.113.7"
NUMBER = 1_000
FREE_OF_CLIENTS = 100
# Pauses of 1, 2, 4, 8, 16, 32 and 60 s: more do not end while the test runs.
PAUSES = 8


@pytest.fixture(autouse=True)
def _long_invocation(_empty_database: None) -> None:
    """Let all statements belong to one invocation of five minutes."""
    deadline.start(Context(milliseconds=300_000))


def log_in(user: int, client: str, account: str = EMAIL) -> bool:
    """Log in with the correct password; return whether it was checked."""
    [reserved] = queries.reserve_attempt_by_email(account=account, client=client)
    if reserved.reserved_until is None:
        return False
    attempt = Attempt(reserved.account, client, reserved.reserved_until)
    return bool(
        auth.queries.open_session(
            attempt,
            user_id=user,
            verified_hash=PASSWORD_HASH,
            token_hash=secrets.token_hex(),
            user_agent=None,
        )
    )


def guess(client: str, account: str = EMAIL) -> bool:
    """Try a wrong password; return whether it was checked."""
    [reserved] = queries.reserve_attempt_by_email(account=account, client=client)
    if reserved.reserved_until is None:
        return False
    queries.record_failure(Attempt(reserved.account, client, reserved.reserved_until))
    return True


def test_the_owner_logs_in_while_a_thousand_addresses_guess(ada: int, database: Database) -> None:
    assert log_in(ada, HOME)
    addresses = [f"203.0.{number // 250}.{number % 250}" for number in range(NUMBER)]
    assert all(map(guess, addresses))
    # A second guess is still free, a third has to wait.
    assert guess(addresses[-1])
    database.run("UPDATE login_attempts SET failed_at = failed_at + interval '1 minute'")
    assert not guess(addresses[-1])
    assert log_in(ada, ELSEWHERE)
    assert all(guess(HOME) for _ in range(19))
    assert log_in(ada, HOME)


def test_an_address_that_guesses_on_a_thousand_accounts_slows_only_itself(
    ada: int, bob: int, database: Database
) -> None:
    assert log_in(bob, ATTACKER, "bob@example.com")
    checked = sum(guess(ATTACKER, f"user{number}@example.com") for number in range(NUMBER))
    assert FREE_OF_CLIENTS <= checked <= FREE_OF_CLIENTS + PAUSES
    database.run("UPDATE login_attempts SET failed_at = failed_at + interval '1 minute'")
    assert not guess(ATTACKER)
    assert log_in(ada, HOME)
    assert log_in(bob, ELSEWHERE, "bob@example.com")
    # A refused attempt adds a row of the pair at most.
    assert database.value("SELECT count(*) FROM login_attempts") <= 2 * NUMBER
