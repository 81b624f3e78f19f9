"""Measures warm requests, in short bursts in which the subjects take turns, and counts their round trips."""

from collections import defaultdict
from contextlib import ExitStack, closing
from typing import Final, NamedTuple

from tqdm import tqdm

from bench.environment import Environment, FunctionError, Response
from bench.figures import Spread, spread
from bench.packages import FASTAPI, FLOOR, NOOP, PROJECT, RESOURCES, Subject, token, variables
from bench.workload import Kind, event, kinds
from tests.support.postgres_proxy import PostgresProxy

BURST: Final = 10
WARM_UP: Final = 10
ROUND_TRIP_REQUESTS: Final = 4


class Request(NamedTuple):
    """What a kind of request costs a subject; the round trips are unknown for a no-op and a server."""

    cpu_ms: Spread
    wall_ms: Spread
    round_trips: float | None = None


# By kind and subject.
Requests = dict[str, dict[str, Request]]


class _Client:
    """Sends requests to the environments of the subjects. Each request of a kind has a number of its own."""

    def __init__(self, environments: dict[str, Environment], numbers: dict[tuple[str, str], int]) -> None:
        self._environments = environments
        self._numbers = numbers
        self._tokens = {name: token(name) for name in environments}

    def send(self, label: str, kind: Kind) -> Response:
        """Send the next request of a kind. The functions of the project count as one subject.

        Raises FunctionError unless the response has the expected status.
        """
        name = kind.package if label == PROJECT else label
        number = self._numbers[name, kind.name]
        self._numbers[name, kind.name] += 1
        response = self._environments[name].invoke(event(kind, number, self._tokens[name]))
        if name != NOOP and response.value["statusCode"] != kind.status:
            raise FunctionError(f"{name}, {kind.name} {number}: {response.value}")
        return response


def measure(subjects: dict[str, Subject], urls: dict[str, str], repeats: int) -> Requests:
    """Return what each kind of request costs each subject, by kind and subject."""
    numbers: dict[tuple[str, str], int] = defaultdict(int)
    times = {}
    with ExitStack() as stack:
        environments = {
            name: _environment(stack, subjects[name], urls.get(name, urls[PROJECT]))
            for name in (NOOP, FLOOR, FASTAPI, *RESOURCES)
        }
        client = _Client(environments, numbers)
        for kind in tqdm(kinds(), "warm requests"):
            times[kind.name] = _bursts(client, kind, repeats)
    round_trips = _round_trips(subjects, urls, numbers)
    return {
        kind: {
            label: Request(
                spread(response.cpu_ms for response in responses),
                spread(response.wall_ms for response in responses),
                round_trips.get((kind, label)),
            )
            for label, responses in by_label.items()
        }
        for kind, by_label in times.items()
    }


def warm_up_and_repeats(kind: Kind, repeats: int) -> tuple[int, int]:
    """Return how many requests of a kind are sent before the measured ones, and how many are measured.

    Requests that hash a password take long, and are repeated less.
    """
    return (1, repeats // 20) if kind.hashes else (WARM_UP, repeats)


def _environment(stack: ExitStack, subject: Subject, url: str) -> Environment:
    return stack.enter_context(closing(Environment(subject.compiled, variables(url))))


def _bursts(client: _Client, kind: Kind, repeats: int) -> dict[str, list[Response]]:
    responses: dict[str, list[Response]] = {label: [] for label in (NOOP, FLOOR, PROJECT, FASTAPI)}
    warm_up, repeats = warm_up_and_repeats(kind, repeats)
    for label in responses:
        for _ in range(warm_up):
            client.send(label, kind)
    for start in range(0, repeats, BURST):
        for label, measured in responses.items():
            measured += [client.send(label, kind) for _ in range(min(BURST, repeats - start))]
    return responses


def _round_trips(
    subjects: dict[str, Subject], urls: dict[str, str], numbers: dict[tuple[str, str], int]
) -> dict[tuple[str, str], float]:
    """Return the round trips of a request, by kind and subject."""
    found = {}
    for label in tqdm((FLOOR, PROJECT, FASTAPI), "round trips"):
        names = RESOURCES if label == PROJECT else (label,)
        with PostgresProxy(urls[label]).running() as proxy, ExitStack() as stack:
            environments = {name: _environment(stack, subjects[name], proxy.url) for name in names}
            client = _Client(environments, numbers)
            for kind in kinds():
                # The first request connects, and the floor prepares its statement.
                client.send(label, kind)
                proxy.reset()
                for _ in range(ROUND_TRIP_REQUESTS):
                    client.send(label, kind)
                found[kind.name, label] = proxy.round_trips / ROUND_TRIP_REQUESTS
    return found
