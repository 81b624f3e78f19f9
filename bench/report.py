"""The figures as tables in Markdown."""

from collections.abc import Iterable, Sequence

from tabulate import tabulate

from bench.attackers import Interference
from bench.cold import Cold
from bench.deletion import Deletion
from bench.packages import FASTAPI, FLOOR, NOOP, PROJECT, UVICORN
from bench.principal import Cost
from bench.targets import Target
from bench.votes import VoteRates
from bench.warm import Request, Requests


def targets_table(targets: Iterable[Target]) -> str:
    """Show the targets, the worst figure of each, and whether it is met."""
    rows = [
        [
            target.what,
            f"{target.at_most:g}",
            f"{target.measured:.2f}",
            target.where,
            "met" if target.measured <= target.at_most else "NOT MET",
        ]
        for target in targets
    ]
    return _table(["target", "at most", "measured, worst", "of", ""], rows)


def cold_table(cold: dict[str, Cold], zipped: dict[str, float]) -> str:
    """Show cold starts: CPU ms with and without bytecode, ratios, memory, size."""
    rows = []
    for name, (bytecode, source) in cold.items():
        cpu = bytecode.cpu_ms.p50
        rows.append([
            name,
            f"{cpu:.0f}",
            f"{bytecode.wall_ms.p50:.0f} / {bytecode.wall_ms.p95:.0f}",
            f"{source.cpu_ms.p50:.0f}",
            f"{cpu / cold[NOOP].bytecode.cpu_ms.p50:.2f}",
            f"{cpu / cold[FLOOR].bytecode.cpu_ms.p50:.2f}",
            f"{cpu / cold[FASTAPI].bytecode.cpu_ms.p50:.2f}",
            f"{cpu / cold[FASTAPI].source.cpu_ms.p50:.3f}",
            f"{bytecode.first_cpu_ms.p50:.1f}",
            f"{bytecode.first_wall_ms.p50:.1f}",
            f"{bytecode.memory_mb.p50:.0f}",
            f"{zipped[name]:.1f}",
        ])  # fmt: skip
    head = [
        "function", "init CPU ms", "wall p50 / p95", "without bytecode", "x no-op", "x floor", "x FastAPI",
        "x FastAPI without", "first request CPU ms", "wall ms", "memory MB", "zipped MB",
    ]  # fmt: skip
    return _table(head, rows)


def warm_table(warm: Requests, server: dict[str, Request]) -> str:
    """Show warm requests: CPU ms of each subject, the project's ratios, round trips."""
    rows = []
    for kind, by_subject in warm.items():
        project = by_subject[PROJECT].cpu_ms.p50
        rows.append([
            kind,
            *(f"{by_subject[name].cpu_ms.p50:.2f}" for name in (NOOP, FLOOR, PROJECT, FASTAPI)),
            f"{server[kind].cpu_ms.p50:.2f}",
            f"{project / by_subject[FLOOR].cpu_ms.p50:.2f}",
            f"{project / by_subject[FASTAPI].cpu_ms.p50:.2f}",
            *(f"{by_subject[name].round_trips:g}" for name in (FLOOR, PROJECT, FASTAPI)),
        ])  # fmt: skip
    head = [
        "CPU ms, p50", NOOP, FLOOR, PROJECT, FASTAPI, UVICORN, "project x floor", "x FastAPI",
        "round trips: floor", PROJECT, FASTAPI,
    ]  # fmt: skip
    return _table(head, rows)


def wall_table(warm: Requests, server: dict[str, Request]) -> str:
    """Show warm requests: wall time, p50 and p95."""
    rows = []
    for kind, by_subject in warm.items():
        measured = [*(by_subject[name] for name in (NOOP, FLOOR, PROJECT, FASTAPI)), server[kind]]
        rows.append([kind, *(f"{one.wall_ms.p50:.2f} / {one.wall_ms.p95:.2f}" for one in measured)])
    return _table(["wall ms, p50 / p95", NOOP, FLOOR, PROJECT, FASTAPI, UVICORN], rows)


def lists_table(lists: dict[str, dict[str, float]]) -> str:
    """Show lists and searches by the number of posts, in ms of the server, and the growth."""
    sizes = list(next(iter(lists.values())))
    rows = [
        [case, *(f"{times[size]:.2f}" for size in sizes), f"{times[sizes[-1]] / times[sizes[0]]:.1f}"]
        for case, times in lists.items()
    ]
    return _table(["ms in the server, p50", *sizes, f"{sizes[-1]} / {sizes[0]}"], rows)


def principal_table(costs: dict[str, Cost]) -> str:
    """Show how much of a read is the principal row."""
    rows = [
        [name, f"{cost.with_principal:.2f}", f"{cost.without:.2f}", f"{cost.share:.0%}"]
        for name, cost in costs.items()
    ]
    return _table(["ms in the server, p50", "with the principal row", "without", "share"], rows)


def attackers_table(attackers: dict[str, Interference]) -> str:
    """Show what ten clients notice of one account that attacks a route."""
    rows = [
        [event, f"{each.alone:.0f}", f"{each.attacked:.0f}", f"{each.attacked / each.alone:.1f}"]
        for event, each in attackers.items()
    ]
    return _table(["the attacker sends", "clients' p95 alone, ms", "p95 attacked, ms", "ratio"], rows)


def votes_table(votes: VoteRates) -> str:
    """Show the rates of votes, and the 99th percentile of the time that one takes."""
    kinds = list(next(iter(votes.values())))
    rows = [
        [
            f"{ms} ms",
            *(f"{rates[kind].per_second:.0f}" for kind in kinds),
            f"{rates[kinds[0]].per_second / rates[kinds[1]].per_second:.2f}",
            *(f"{rates[kind].p99_ms:.0f}" for kind in kinds),
        ]
        for ms, rates in votes.items()
    ]
    head = [
        "added to a commit",
        *(f"{kind}, votes/s" for kind in kinds),
        "ratio",
        *(f"{kind}, p99 ms" for kind in kinds),
    ]
    return _table(head, rows)


def deletion_table(deletion: Deletion) -> str:
    """Show how long it takes to mark and to remove, and what others notice of it."""
    marks = [
        [f"mark the {name} as deleted", "1", "", f"{ms:.0f}", "", "", ""]
        for name, ms in deletion.marks.items()
    ]
    removals = [
        [f"remove {kind}", *_rounded(each.batches, each.seconds, each.p50_ms, each.longest_ms), "", ""]
        for kind, each in deletion.removals.items()
        if each.rows
    ]
    others = [
        [name, str(each.statements), "", *_rounded(each.p50_ms, each.longest_ms, each.p99_ms, each.failed)]
        for name, each in deletion.others.items()
    ]
    head = ["statement", "number", "seconds", "p50 ms", "longest", "p99", "failed"]
    return _table(head, [*marks, *removals, *others])


def _rounded(*numbers: float) -> list[str]:
    return [f"{number:.0f}" for number in numbers]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    alignment = ["left", *["right"] * (len(head) - 1)]
    return str(tabulate(rows, head, tablefmt="pipe", disable_numparse=True, colalign=alignment))
