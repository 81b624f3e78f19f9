"""What ten clients notice of one account that sends the most expensive requests to a route.

The clients and the attacker are those of `tests/support/one_against_all.py`, without limits of the gateway.
`python -m bench.attackers` only prints this table.
"""

import os
import sys
from statistics import quantiles
from typing import Final, NamedTuple

from tqdm import tqdm

from bench.packages import variables
from local.postgres import Cluster, throwaway_cluster
from tests.support.database import Database

DATABASE: Final = "attackers"
SECONDS: Final = 1.0


class Interference(NamedTuple):
    """The 95th percentile of the clients' requests in ms, without and with an attacker, in turns."""

    alone: float
    attacked: float


def measure(cluster: Cluster, seconds: float = SECONDS) -> dict[str, Interference]:
    """Return what the clients notice, by the event of the attacker's requests."""
    cluster.create_database(DATABASE)
    url = cluster.url(DATABASE)
    os.environ |= variables(url) | {"POWERTOOLS_LOG_LEVEL": "CRITICAL"}
    from common.settings import parse_database_url  # noqa: PLC0415
    from migrations.runner import migrate  # noqa: PLC0415
    from tests.support.attacks import ATTACKS  # noqa: PLC0415  # its imports read the environment
    from tests.support.one_against_all import arena  # noqa: PLC0415

    migrate(parse_database_url(url, local=True))
    with Database(url) as database, arena(database) as running:
        return {
            attack.event: Interference(
                *(
                    quantiles((sent.seconds * 1000 for sent in running.run(event, seconds).clients), n=20)[-1]
                    for event in (None, attack.event)
                )
            )
            for attack in tqdm(ATTACKS, "attackers")
        }


if __name__ == "__main__":
    from bench.report import attackers_table

    with throwaway_cluster() as throwaway:
        sys.stdout.write(attackers_table(measure(throwaway)) + "\n")
