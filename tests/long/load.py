"""Sends a mixed workload to a local gateway and prints throughput, percentiles and errors.

`python -m tests.long.load` starts PostgreSQL, PgBouncer if it is installed, the gateway, and clients that
send one request after the other for LOAD_SECONDS (30).
"""

import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from common.keys import Key, parse_keys
from common.passwords import hash_password
from local.postgres import throwaway_cluster
from tests.long.traffic import Actor, Outcome, Traffic, populate
from tests.support import pgbouncer
from tests.support.database import PASSWORD, Database
from tests.support.local_gateway import LocalGateway, local_gateway

CLIENTS = 8
POOL = 10
# Requests in a thousand. bcrypt takes nearly all of the time of a sign-up or a login.
WORKLOAD = {
    "sign_up": 2,
    "login": 8,
    "list": 250,
    "search": 60,
    "read": 300,
    "user": 80,
    "account": 50,
    "write": 80,
    "edit": 40,
    "vote": 130,
}
PERCENTILES = (50, 95, 99)


@contextmanager
def loaded(directory: Path, key: Key) -> Iterator[tuple[LocalGateway, list[Actor]]]:
    """Start everything; yield the gateway and the clients."""
    with ExitStack() as stack:
        cluster = stack.enter_context(throwaway_cluster())
        cluster.create_database("load")
        url = cluster.url("load")
        pooled = stack.enter_context(pgbouncer.pooler(url, size=POOL)) if pgbouncer.program() else None
        served_url = pooled.url() if pooled else url
        gateway = stack.enter_context(local_gateway(served_url, directory / "log", bcrypt_cost=12))
        with Database(url) as database:
            people = populate(database, CLIENTS, key)
            # A login costs as much as in production.
            database.run("UPDATE users SET password = :hashed", hashed=hash_password(PASSWORD))
        yield gateway, [Actor(gateway.url, person, people, WORKLOAD) for person in people]


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile of sorted values."""
    return values[min(len(values) - 1, len(values) * percent // 100)]


def report(outcomes: Sequence[Outcome], seconds: float) -> Iterator[str]:
    """Yield a line for each kind of request: number, errors and percentiles."""
    errors = sum(bool(outcome.wrong) or outcome.status >= 500 for outcome in outcomes)
    yield f"{len(outcomes)} requests in {seconds:.0f} s: {len(outcomes) / seconds:.0f}/s, {errors} errors"
    yield f"{'':10}{'number':>8}{'errors':>8}" + "".join(f"{f'p{percent} ms':>10}" for percent in PERCENTILES)
    for kind in WORKLOAD:
        of_kind = [outcome for outcome in outcomes if outcome.kind == kind]
        if not of_kind:
            continue
        times = sorted(outcome.seconds * 1000 for outcome in of_kind)
        failed = sum(bool(outcome.wrong) or outcome.status >= 500 for outcome in of_kind)
        row = "".join(f"{percentile(times, percent):>10.1f}" for percent in PERCENTILES)
        yield f"{kind:10}{len(of_kind):>8}{failed:>8}{row}"


def main() -> int:
    """Run the load; return 1 if a request failed."""
    seconds = float(os.environ.get("LOAD_SECONDS", "30"))
    os.environ["JWT_KEYS"] = json.dumps({"load": secrets.token_urlsafe(32)})
    key = parse_keys(os.environ["JWT_KEYS"])[-1]
    with tempfile.TemporaryDirectory() as directory, loaded(Path(directory), key) as (gateway, actors):
        between = "with PgBouncer" if pgbouncer.program() else pgbouncer.HOW_TO_GET_IT
        sys.stdout.write(f"{CLIENTS} clients, {os.cpu_count()} CPUs for clients and servers, {between}\n")
        traffic = Traffic(actors)
        traffic.start(most=40)
        traffic.join()
        begin = time.monotonic()
        traffic.start()
        time.sleep(seconds)
        outcomes = traffic.finish()
        sys.stdout.write("\n".join(report(outcomes, time.monotonic() - begin)) + "\n")
        resident = gateway.resident_kilobytes()
        sys.stdout.write(
            f"{len(resident)} execution environments, {sum(resident.values()) // 1024} MB in total\n"
        )
    return 1 if any(outcome.wrong or outcome.status >= 500 for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
