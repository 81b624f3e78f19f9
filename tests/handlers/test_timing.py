"""How long a login takes says nothing about who has an account."""

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
# A sign test: were both alike, one of the two would take longer in more pairs than this, or the other would,
# in less than one run of a million: 2 * (1 + 30 + 435) / 2**30.
MOST_PAIRS = 27
# bcrypt is nearly all of a login at this cost, too, which is a sixteenth of that in production.
COST = 8


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of this thread: what others do on the machine does not count."""
    begin = time.thread_time()
    work()
    return time.thread_time() - begin


def log_in(email: str) -> int:
    return call("login", body=urlencode({"username": email, "password": "wrong"})).status


@pytest.mark.usefixtures("ada")
def test_a_login_works_as_much_for_nobody_as_for_somebody(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "BCRYPT_COST", COST)
    monkeypatch.setattr(passwords, "DUMMY_HASH", passwords.hash_password("nobody's"))
    database.run("UPDATE users SET password = :hashed", hashed=passwords.hash_password(PASSWORD))
    known, unknown = "ada@example.com", "eve@example.com"
    slower: Counter[str] = Counter()
    for _ in range(PAIRS):
        database.run("TRUNCATE login_failures")
        # Which comes first is left to chance: whatever the first of a pair finds slower, both do as often.
        pair = random.sample([known, unknown], 2)
        seconds = {email: cpu_seconds(lambda email=email: log_in(email)) for email in pair}  # type: ignore[misc]  # one argument, bound
        slower[max(pair, key=lambda email: seconds[email])] += 1
    assert max(slower.values()) <= MOST_PAIRS, slower


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
