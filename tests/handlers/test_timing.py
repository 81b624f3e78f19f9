"""How long a login takes says nothing about who has an account."""

import statistics
import time
from collections.abc import Callable
from urllib.parse import urlencode

import bcrypt
import pytest

from common import passwords
from tests.data import PASSWORD, Database
from tests.lambdas import call

ROUNDS = 6


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of this thread: what others do on the machine does not count."""
    begin = time.thread_time()
    work()
    return time.thread_time() - begin


def log_in(email: str) -> int:
    return call("login", body=urlencode({"username": email, "password": "wrong"})).status


@pytest.mark.usefixtures("ada")
def test_a_login_works_as_much_for_nobody_as_for_somebody(database: Database) -> None:
    hashed = passwords.hash_password(PASSWORD)
    database.run("UPDATE users SET password = :hashed", hashed=hashed)
    known, unknown = [], []
    for number in range(ROUNDS):
        # In turns, so that whatever slows the machine down slows down both; each address with few failures.
        known.append(cpu_seconds(lambda: log_in("ada@example.com")))
        unknown.append(cpu_seconds(lambda number=number: log_in(f"nobody{number}@example.com")))  # type: ignore[misc]  # one argument, bound
        database.run("TRUNCATE login_failures")
    # All but bcrypt is a few per cent of it.
    assert 0.8 < statistics.median(unknown) / statistics.median(known) < 1.25


@pytest.mark.usefixtures("ada", "_cheap_hashes")
@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com", "no address"])
def test_a_login_checks_one_password_whoever_it_is(email: str, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = []
    check = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        checks.append(hashed[:7])
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    assert log_in(email) == 403
    assert checks == [b"$2b$04$"]
