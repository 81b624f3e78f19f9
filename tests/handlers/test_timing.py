"""The duration of a login does not reveal whether an account exists."""

import random
import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlencode

import bcrypt
import pytest

from common import passwords
from tests.support.database import PASSWORD, Database
from tests.support.lambdas import call

PAIRS = 30
# A sign test. If both take equally long, one of them is the slower one in more pairs than this in less than
# one of a million runs: 2 * (1 + 30 + 435) / 2**30.
MAX_PAIRS = 27
# With this cost, bcrypt takes a sixteenth of its time in production but still dominates a login.
COST = 8


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of this thread, so that other load on the machine does not count."""
    begin = time.thread_time()
    work()
    return time.thread_time() - begin


def log_in(email: str) -> int:
    return call("login", body=urlencode({"username": email, "password": "wrong"})).status


@pytest.mark.usefixtures("ada")
def test_a_login_takes_as_long_for_a_missing_account(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "BCRYPT_COST", COST)
    monkeypatch.setattr(passwords, "DUMMY_HASH", passwords.hash_password("nobody's"))
    database.run("UPDATE users SET password = :hashed", hashed=passwords.hash_password(PASSWORD))
    known, unknown = "ada@example.com", "eve@example.com"
    slower: Counter[str] = Counter()
    for _ in range(PAIRS):
        database.run("TRUNCATE login_failures")
        # In random order, so that neither benefits from being the first or the second of a pair.
        pair = random.sample([known, unknown], 2)
        seconds = {email: cpu_seconds(lambda email=email: log_in(email)) for email in pair}  # type: ignore[misc]  # one argument, bound
        slower[max(pair, key=lambda email: seconds[email])] += 1
    assert max(slower.values()) <= MAX_PAIRS, slower


@pytest.mark.usefixtures("ada", "_cheap_hashes")
@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com", "no address"])
def test_a_login_checks_exactly_one_password(email: str, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = []
    check = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        checks.append(hashed[:7])
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    assert log_in(email) == 403
    assert checks == [b"$2b$04$"]
