"""The targets, and what was measured."""

from typing import NamedTuple

from bench.cold import Cold
from bench.targets import AUTHORIZER, FLOOR, NOOP, PEER, PROJECT, RESOURCES
from bench.warm import Warm
from bench.workload import kinds

LISTS = (
    "first page",
    "deep page",
    "page with the hot post",
    "first page, oldest first",
    "first page, most votes first",
    "deep page, most votes first",
    "first page of an author",
)


NO_MATCH = ("search, no match: ", "search, no match, most votes")


class Goal(NamedTuple):
    """A target, the worst figure that it applies to, and where that was measured."""

    what: str
    target: float
    measured: float
    worst: str

    @property
    def met(self) -> bool:
        """Tell whether the target is met."""
        return self.measured <= self.target


def goals(
    cold: dict[str, Cold], warm: Warm, scale: dict[str, dict[str, float]], zipped: dict[str, float]
) -> list[Goal]:
    """Return every target that this run has the figures for."""
    init = {name: starts.bytecode.cpu_ms.p50 for name, starts in cold.items()}
    every = kinds()
    # bcrypt takes 99% of the others, and as long everywhere.
    reads = [kind.name for kind in every if not kind.writes and not kind.hashes]
    writes = [kind.name for kind in every if kind.writes and not kind.hashes]

    def ratio(other: str, names: list[str]) -> dict[str, float]:
        requests = {name: warm.requests[name] for name in names}
        return {name: each[PROJECT].cpu_ms.p50 / each[other].cpu_ms.p50 for name, each in requests.items()}

    trips = {name: each[PROJECT].round_trips or 0 for name, each in warm.requests.items()}
    source = cold[PEER].source.cpu_ms.p50
    found = [
        _goal("round trips of a request", 1, trips),
        _goal("warm CPU of a read, x floor", 2.0, ratio(FLOOR, reads)),
        _goal("warm CPU of a write, x floor", 2.0, ratio(FLOOR, writes)),
        _goal("warm CPU, x FastAPI", 0.3, ratio(PEER, reads + writes)),
        _goal("init CPU, x floor", 2.2, {name: init[name] / init[FLOOR] for name in RESOURCES}),
        _goal(
            "init CPU, x FastAPI without bytecode", 0.15, {name: init[name] / source for name in RESOURCES}
        ),
        _goal("init CPU of the authorizer, x no-op", 1.7, {AUTHORIZER: init[AUTHORIZER] / init[NOOP]}),
        _goal("layer and function, zipped MB", 10, {name: zipped[name] for name in RESOURCES}),
    ]
    if "1M" in scale["first page"]:
        growth = {case: scale[case]["1M"] / scale[case]["1k"] for case in LISTS}
        searches = {case: times["1M"] for case, times in scale.items() if case.startswith(NO_MATCH)}
        found.append(_goal("a list page at 1M posts, x at 1k", 1.5, growth))
        found.append(_goal("search without a match at 1M posts, ms", 5.0, searches))
    return found


def _goal(what: str, target: float, figures: dict[str, float]) -> Goal:
    worst = max(figures, key=lambda name: figures[name])
    return Goal(what, target, figures[worst], worst)
