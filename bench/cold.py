"""Cold starts: a new process for each, all targets and both packagings taking turns."""

from http import HTTPStatus
from typing import NamedTuple

from bench import workload
from bench.figures import Spread, spread
from bench.progress import Progress
from bench.runtime import Environment, FunctionError
from bench.stage import Package
from bench.targets import PROJECT, Target, token, variables


class Start(NamedTuple):
    """Cold starts of a target: from the process's start to readiness, and the first request after it."""

    cpu_ms: Spread
    wall_ms: Spread
    memory_mb: Spread
    first_cpu_ms: Spread
    first_wall_ms: Spread


class Cold(NamedTuple):
    """A target's starts with bytecode and without."""

    bytecode: Start
    source: Start


def measure(
    targets: dict[str, Target], urls: dict[str, str], rounds: int, progress: Progress
) -> dict[str, Cold]:
    """Return the starts of each target by name."""
    samples: dict[Package, list[tuple[float, ...]]] = {}
    for _ in progress.count("cold starts", range(rounds)):
        for name, target in targets.items():
            for package in (target.compiled, target.plain):
                sample = _start(name, package, urls.get(name, urls[PROJECT]))
                samples.setdefault(package, []).append(sample)
    starts = {
        package: Start(*(spread(column) for column in zip(*sample, strict=True)))
        for package, sample in samples.items()
    }
    return {name: Cold(starts[target.compiled], starts[target.plain]) for name, target in targets.items()}


def _start(name: str, package: Package, url: str) -> tuple[float, ...]:
    with Environment(package, variables(url)) as environment:
        memory = environment.resident_mb()
        first = environment.invoke(workload.first_event(name, token(name)))
    if first.value.get("statusCode", HTTPStatus.OK) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise FunctionError(f"{name}: {first.value}")
    return (environment.init_cpu_ms, environment.init_wall_ms, memory, first.cpu_ms, first.wall_ms)
