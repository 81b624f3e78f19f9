"""Sends a mixed workload and prints throughput, percentiles and errors.

`python -m tests.long.load [URL]`: clients send one request after the other for LOAD_SECONDS (30) to the
deployed API at a URL, with new accounts, which are deleted afterwards. Without a URL, it starts PostgreSQL,
PgBouncer if it is installed, and a local gateway.
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
from typing import Any
from urllib.parse import urlencode

from common.keys import Key, parse_keys
from common.passwords import hash_password
from local.postgres import throwaway_cluster
from tests.long.traffic import Actor, Client, Outcome, Person, Traffic, populate
from tests.support import pgbouncer
from tests.support.database import PASSWORD, Database
from tests.support.local_gateway import LocalGateway, local_gateway

CLIENTS = 8
POOL = 10
WARM_UP_REQUESTS = 40
PASSWORD_PAUSE_SECONDS = 0.5
LIMITED = 429
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
LIMITS = """\
The clients send as fast as they get responses, so a deployed API limits them; the column 429 counts it. The
limits are RequestsPerSecond of the gateway (50 in dev), PasswordsPerSecond, those of each account per day
(200 posts, 5,000 votes) and, where there is a firewall, its limit per address. The first requests start
execution environments, and a database that is paused returns 503 for some seconds.
"""


@contextmanager
def deployed(url: str) -> Iterator[list[Actor]]:
    """Sign up the clients at a deployed API; delete their accounts at the end."""
    people, tokens = [], []
    visitor = Client(url)
    for _ in range(CLIENTS):
        email = f"load-{secrets.token_hex(8)}@example.com"
        account = expect(visitor, 201, "POST", "/users", {"email": email, "password": PASSWORD})
        form = urlencode({"username": email, "password": PASSWORD})
        token = expect(visitor, 200, "POST", "/login", form)["access_token"]
        post = expect(Client(url, token), 201, "POST", "/posts", {"title": f"of {email}", "content": "load"})
        tokens.append(token)
        people.append(Person(account["id"], email, token, post["id"]))
        # The routes that take a password have a rate of their own.
        time.sleep(PASSWORD_PAUSE_SECONDS)
    workload = {kind: weight for kind, weight in WORKLOAD.items() if kind != "sign_up"}
    try:
        yield [Actor(url, person, people, workload) for person in people]
    finally:
        for token in tokens:
            Client(url, token).send("DELETE", "/users/me", {"current_password": PASSWORD})
            time.sleep(PASSWORD_PAUSE_SECONDS)


def expect(client: Client, status: int, method: str, path: str, body: object) -> Any:  # noqa: ANN401  # any JSON
    """Return the JSON of a response; raise SystemExit if it has another status."""
    reply = client.send(method, path, body)
    if reply.status != status:
        raise SystemExit(f"error: {method} {path} returned {reply.status}: {reply.body[:200]!r}")
    return json.loads(reply.body)


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
    errors = sum(failed(outcome) for outcome in outcomes)
    yield f"{len(outcomes)} requests in {seconds:.0f} s: {len(outcomes) / seconds:.0f}/s, {errors} errors"
    percentiles = "".join(f"{f'p{percent} ms':>10}" for percent in PERCENTILES)
    yield f"{'':10}{'number':>8}{'errors':>8}{'429':>8}{percentiles}"
    for kind in WORKLOAD:
        of_kind = [outcome for outcome in outcomes if outcome.kind == kind]
        if not of_kind:
            continue
        times = sorted(outcome.seconds * 1000 for outcome in of_kind)
        errors = sum(failed(outcome) for outcome in of_kind)
        limited = sum(outcome.status == LIMITED for outcome in of_kind)
        row = "".join(f"{percentile(times, percent):>10.1f}" for percent in PERCENTILES)
        yield f"{kind:10}{len(of_kind):>8}{errors:>8}{limited:>8}{row}"


def failed(outcome: Outcome) -> bool:
    """Return whether a response was an error of the server, or wrong."""
    return outcome.status >= 500 or (bool(outcome.wrong) and outcome.status != LIMITED)


def measure(actors: Sequence[Actor], seconds: float) -> int:
    """Send requests for some seconds and print the report; return 1 if a request failed."""
    traffic = Traffic(actors)
    traffic.start(most=WARM_UP_REQUESTS)
    traffic.join()
    begin = time.monotonic()
    traffic.start()
    time.sleep(seconds)
    outcomes = traffic.finish()
    sys.stdout.write("\n".join(report(outcomes, time.monotonic() - begin)) + "\n")
    return 1 if any(failed(outcome) for outcome in outcomes) else 0


def main(url: str | None = None) -> int:
    """Run the load; return 1 if a request failed."""
    seconds = float(os.environ.get("LOAD_SECONDS", "30"))
    if url:
        sys.stdout.write(LIMITS)
        with deployed(url) as actors:
            return measure(actors, seconds)
    os.environ["JWT_KEYS"] = json.dumps({"load": secrets.token_urlsafe(32)})
    key = parse_keys(os.environ["JWT_KEYS"])[-1]
    with tempfile.TemporaryDirectory() as directory, loaded(Path(directory), key) as (gateway, actors):
        between = "with PgBouncer" if pgbouncer.program() else pgbouncer.INSTALL_HINT
        sys.stdout.write(f"{CLIENTS} clients, {os.cpu_count()} CPUs for clients and servers, {between}\n")
        result = measure(actors, seconds)
        resident = gateway.resident_kilobytes()
        sys.stdout.write(
            f"{len(resident)} execution environments, {sum(resident.values()) // 1024} MB in total\n"
        )
    return result


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
