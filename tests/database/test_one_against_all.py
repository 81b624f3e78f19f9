"""One account sends the most expensive requests to one route after another, while ten clients work."""

import pytest

from tests.support.attacks import ATTACKS, Attack
from tests.support.database import Database
from tests.support.one_against_all import Outcome, arena

SECONDS = 0.2
LONG_SECONDS = 5.0
# A page ends before it is larger.
MAX_LENGTH = 4_500_000
OK = {200, 201, 202, 204}
# What the attacker may get: a route that it uses up responds with 401 or 404 from then on.
EXPECTED = {*OK, 401, 403, 404, 409, 429}


def problems(attack: Attack, outcome: Outcome) -> list[str]:
    """Return what is wrong with the outcome of an attack."""
    admitted = [sent for sent in outcome.attacker if sent.status != 429]
    refused = [sent for sent in outcome.attacker if sent.status == 429]
    found = [f"a client got {sent}" for sent in outcome.clients if sent.status not in OK]
    found += [f"the attacker got {sent}" for sent in outcome.attacker if sent.status not in EXPECTED]
    found += [f"the attacker got {sent}" for sent in outcome.attacker if sent.length > MAX_LENGTH]
    found += [f"without Retry-After: {sent}" for sent in refused if not sent.has_retry_after]
    found += [f"waited for the attacker: {statement}" for statement in outcome.blocked]
    if attack.admitted is None:
        found += [f"no limit is known, but {len(refused)} were refused"] if refused else []
    elif not 0 < len(admitted) <= attack.admitted < len(outcome.attacker):
        found.append(f"{len(admitted)} of {len(outcome.attacker)} were admitted, not {attack.admitted}")
    return [f"{attack.event}: {each}" for each in found]


def test_no_client_notices_that_one_account_sends_all_it_may(database: Database) -> None:
    assert fight(database, SECONDS) == []


@pytest.mark.long
def test_no_client_notices_that_one_account_sends_all_it_may_for_long(database: Database) -> None:
    assert fight(database, LONG_SECONDS) == []


def fight(database: Database, seconds: float) -> list[str]:
    with arena(database) as running:
        return [
            problem for attack in ATTACKS for problem in problems(attack, running.run(attack.event, seconds))
        ]
