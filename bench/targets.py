"""The targets, and the worst figure of each."""

from typing import NamedTuple

from bench.cold import Cold
from bench.packages import AUTHORIZER, FASTAPI, FLOOR, PROJECT, RESOURCES
from bench.principal import Cost
from bench.votes import VoteRates
from bench.warm import Requests
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


class Target(NamedTuple):
    """A target, the worst figure that it applies to, and where that was measured."""

    what: str
    at_most: float
    measured: float
    where: str


def targets(
    cold: dict[str, Cold],
    warm: Requests,
    lists: dict[str, dict[str, float]],
    zipped: dict[str, float],
    votes: VoteRates,
    principal: dict[str, Cost],
) -> list[Target]:
    """Return every target that this run has figures for."""
    init = {name: starts.bytecode.cpu_ms.p50 for name, starts in cold.items()}
    # bcrypt takes 99% of a request that hashes a password, and equally long in every subject.
    reads = [kind.name for kind in kinds() if not kind.writes and not kind.hashes]
    writes = [kind.name for kind in kinds() if kind.writes and not kind.hashes]

    def ratio(other: str, names: list[str]) -> dict[str, float]:
        requests = {name: warm[name] for name in names}
        return {name: each[PROJECT].cpu_ms.p50 / each[other].cpu_ms.p50 for name, each in requests.items()}

    trips = {name: each[PROJECT].round_trips or 0 for name, each in warm.items()}
    source = cold[FASTAPI].source.cpu_ms.p50
    found = [
        _target("round trips of a request", 1, trips),
        _target("warm CPU of a read, x floor", 2.0, ratio(FLOOR, reads)),
        _target("warm CPU of a write, x floor", 2.0, ratio(FLOOR, writes)),
        _target("warm CPU, x FastAPI", 0.3, ratio(FASTAPI, reads + writes)),
        _target(
            "init CPU, x floor", 1.5, {name: init[name] / init[FLOOR] for name in (*RESOURCES, AUTHORIZER)}
        ),
        _target(
            "init CPU, x FastAPI without bytecode", 0.15, {name: init[name] / source for name in RESOURCES}
        ),
        _target("layer and function, zipped MB", 10, {name: zipped[name] for name in RESOURCES}),
    ]
    # The target is for commits that are sent to a standby, as on AWS.
    contention = {
        f"{ms} ms per commit": rates["5,000 posts"].per_second / rates["one post"].per_second
        for ms, rates in votes.items()
        if ms
    }
    found.append(_target("votes on 5,000 posts, x on one post", 1.25, contention))
    shares = {name: cost.share for name, cost in principal.items()}
    found.append(_target("the principal row, share of a read in the server", 0.05, shares))
    if "1M" in lists["first page"]:
        growth = {case: lists[case]["1M"] / lists[case]["1k"] for case in LISTS}
        searches = {case: times["1M"] for case, times in lists.items() if case.startswith(NO_MATCH)}
        found.append(_target("a list page at 1M posts, x at 1k", 1.5, growth))
        found.append(_target("search without a match at 1M posts, ms", 5.0, searches))
    return found


def _target(what: str, at_most: float, figures: dict[str, float]) -> Target:
    worst = max(figures, key=lambda name: figures[name])
    return Target(what, at_most, figures[worst], worst)
