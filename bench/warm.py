"""Warm requests: one process for each target, taking turns in short bursts; then their round trips."""

from collections import defaultdict
from typing import Final, NamedTuple

from bench import workload
from bench.figures import Spread, spread
from bench.progress import Progress
from bench.runtime import Answer, Environment, FunctionError
from bench.targets import FLOOR, NOOP, PEER, PROJECT, RESOURCES, Target, token, variables
from tests.support.postgres_proxy import PostgresProxy

BURST: Final = 10
WARM_UP: Final = 10
TRIPS: Final = 4


class Request(NamedTuple):
    """What a kind of request takes of a target."""

    cpu_ms: Spread
    wall_ms: Spread
    round_trips: float | None


class Warm(NamedTuple):
    """Requests by kind and target; memory after them, and the round trips of a first request, by target."""

    requests: dict[str, dict[str, Request]]
    memory_mb: dict[str, float]
    first_round_trips: dict[str, int]


class _Client:
    """Sends a target its requests, each kind's numbers in order: what one changes, none changes again."""

    def __init__(self, targets: dict[str, Target]) -> None:
        self._targets = targets
        self._numbers: dict[tuple[str, str], int] = defaultdict(int)
        self._tokens = {name: token(name) for name in targets}
        self.environments: dict[str, Environment] = {}

    def start(self, name: str, url: str) -> None:
        """Start an environment of a target."""
        self.environments[name] = Environment(self._targets[name].compiled, variables(url))

    def send(self, name: str, kind: workload.Kind) -> Answer:
        """Send the next request of a kind; raises `FunctionError` unless it is answered as it should be."""
        number = self._numbers[name, kind.name]
        self._numbers[name, kind.name] += 1
        event = workload.event(kind, kind.make(number), self._tokens[name])
        answer = self.environments[name].invoke(event)
        if name != NOOP and answer.value["statusCode"] != kind.status:
            raise FunctionError(f"{name}, {kind.name} {number}: {answer.value}")
        return answer

    def close(self) -> None:
        """End every environment."""
        for environment in self.environments.values():
            environment.close()
        self.environments.clear()


def measure(targets: dict[str, Target], urls: dict[str, str], repeats: int, progress: Progress) -> Warm:
    """Return what each kind of request takes of each target; those that hash passwords are repeated less."""
    client = _Client(targets)
    requests: dict[str, dict[str, Request]] = {}
    first: dict[str, int] = {}
    try:
        serving = [NOOP, FLOOR, PEER, *RESOURCES]
        for name in serving:
            client.start(name, urls.get(name, urls[PROJECT]))
        for kind in progress.count("warm requests", workload.kinds()):
            requests[kind.name] = {}
            for label, answers in _bursts(client, kind, repeats // 20 if kind.hashes else repeats).items():
                name = _names(kind)[label]
                connect, trips = _round_trips(client, name, urls[label], kind) if label != NOOP else (0, None)
                first.setdefault(label, connect)
                cpu, wall = spread(each.cpu_ms for each in answers), spread(each.wall_ms for each in answers)
                requests[kind.name][label] = Request(cpu, wall, trips)
        memory = {name: environment.resident_mb() for name, environment in client.environments.items()}
    finally:
        client.close()
    return Warm(requests, memory, first)


def _names(kind: workload.Kind) -> dict[str, str]:
    """Return the targets that a kind is sent to; the project is one, whichever function serves."""
    return {NOOP: NOOP, FLOOR: FLOOR, PEER: PEER, PROJECT: kind.package}


def _bursts(client: _Client, kind: workload.Kind, repeats: int) -> dict[str, list[Answer]]:
    answers: dict[str, list[Answer]] = defaultdict(list)
    for name in _names(kind).values():
        for _ in range(1 if kind.hashes else WARM_UP):
            client.send(name, kind)
    for start in range(0, repeats, BURST):
        for label, name in _names(kind).items():
            for _ in range(min(BURST, repeats - start)):
                answers[label].append(client.send(name, kind))
    return answers


def _round_trips(client: _Client, name: str, url: str, kind: workload.Kind) -> tuple[int, float]:
    """Return the round trips of a connection and first request, and of each one after it."""
    measured = client.environments.pop(name)
    with PostgresProxy(url).running() as proxy:
        try:
            client.start(name, proxy.url)
            client.send(name, kind)
            first = proxy.round_trips
            for _ in range(TRIPS):
                client.send(name, kind)
            # Before the connection is closed, which is not a part of a request.
            later = proxy.round_trips - first
        finally:
            # There is no environment if its start failed.
            if proxied := client.environments.pop(name, None):
                proxied.close()
            client.environments[name] = measured
    return first, later / TRIPS
