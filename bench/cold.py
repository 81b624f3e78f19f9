"""Measures cold starts, each in a new process. All subjects take turns, with bytecode and without."""

from contextlib import closing
from http import HTTPStatus
from typing import NamedTuple

from tqdm import tqdm

from bench import secrets_manager, workload
from bench.environment import Environment, FunctionError
from bench.figures import Spread, spread
from bench.packages import AUTHORIZER, PROJECT, Package, Subject, token, variables


class Start(NamedTuple):
    """The cold starts of a subject: its init, from the start of the process, and then its first request."""

    cpu_ms: Spread
    wall_ms: Spread
    memory_mb: Spread
    first_cpu_ms: Spread
    first_wall_ms: Spread


class Cold(NamedTuple):
    """A subject's cold starts with bytecode and without."""

    bytecode: Start
    source: Start


def measure(subjects: dict[str, Subject], urls: dict[str, str], rounds: int) -> dict[str, Cold]:
    """Return the cold starts of each subject by name."""
    samples: dict[Package, list[tuple[float, ...]]] = {}
    with secrets_manager.serving() as deployed:
        for _ in tqdm(range(rounds), "cold starts"):
            for name, subject in subjects.items():
                environment = variables(urls.get(name, urls[PROJECT]))
                if name == AUTHORIZER:
                    environment |= deployed
                for package in (subject.compiled, subject.plain):
                    samples.setdefault(package, []).append(_start(name, package, environment))
    starts = {package: Start(*map(spread, zip(*sample, strict=True))) for package, sample in samples.items()}
    return {name: Cold(starts[subject.compiled], starts[subject.plain]) for name, subject in subjects.items()}


def _start(name: str, package: Package, variables: dict[str, str]) -> tuple[float, ...]:
    with closing(Environment(package, variables)) as environment:
        memory = environment.resident_mb()
        first = environment.invoke(workload.first_event(name, token(name)))
    if first.value.get("statusCode", HTTPStatus.OK) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise FunctionError(f"{name}: {first.value}")
    return (environment.init_cpu_ms, environment.init_wall_ms, memory, first.cpu_ms, first.wall_ms)
