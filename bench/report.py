"""The figures as text: tables in Markdown, which read as well on a terminal."""

from collections.abc import Iterable, Sequence

from bench.cold import Cold
from bench.goals import Goal
from bench.targets import FLOOR, NOOP, PEER, PROJECT, UVICORN
from bench.warm import Request, Warm


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table, its columns aligned; the first is text, the others are numbers."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(
        "| " + " | ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) + " |"
        for line in [lines[0], rule, *lines[1:]]
    )


def goals_table(goals: Iterable[Goal]) -> str:
    """Show the targets, the worst figure of each, and whether it is met."""
    rows = [
        [goal.what, f"{goal.target:g}", f"{goal.measured:.2f}", goal.worst, "met" if goal.met else "NOT MET"]
        for goal in goals
    ]
    return table(["target", "at most", "measured, worst", "of", ""], rows)


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
            f"{cpu / cold[PEER].source.cpu_ms.p50:.3f}",
            f"{bytecode.first_cpu_ms.p50:.1f}",
            f"{bytecode.first_wall_ms.p50:.1f}",
            f"{bytecode.memory_mb.p50:.0f}",
            f"{zipped[name]:.1f}",
        ])  # fmt: skip
    head = [
        "function", "init CPU ms", "wall p50 / p95", "without bytecode", "x no-op", "x floor",
        "x FastAPI without", "first request CPU ms", "wall ms", "memory MB", "zipped MB",
    ]  # fmt: skip
    return table(head, rows)


def warm_table(warm: Warm, served: dict[str, Request]) -> str:
    """Show warm requests: CPU ms of each target, the project's ratios, round trips."""
    rows = []
    for kind, by_target in warm.requests.items():
        project = by_target[PROJECT].cpu_ms.p50
        rows.append([
            kind,
            *(f"{by_target[name].cpu_ms.p50:.2f}" for name in (NOOP, FLOOR, PROJECT, PEER)),
            f"{served[kind].cpu_ms.p50:.2f}",
            f"{project / by_target[FLOOR].cpu_ms.p50:.2f}",
            f"{project / by_target[PEER].cpu_ms.p50:.2f}",
            *(f"{by_target[name].round_trips:g}" for name in (FLOOR, PROJECT, PEER)),
        ])  # fmt: skip
    head = [
        "CPU ms, p50", NOOP, FLOOR, PROJECT, PEER, UVICORN, "project x floor", "x FastAPI",
        "round trips: floor", PROJECT, PEER,
    ]  # fmt: skip
    return table(head, rows)


def wall_table(warm: Warm, served: dict[str, Request]) -> str:
    """Show warm requests: wall time, p50 and p95."""
    rows = []
    for kind, by_target in warm.requests.items():
        each = [*(by_target[name] for name in (NOOP, FLOOR, PROJECT, PEER)), served[kind]]
        rows.append([kind, *(f"{one.wall_ms.p50:.2f} / {one.wall_ms.p95:.2f}" for one in each)])
    return table(["wall ms, p50 / p95", NOOP, FLOOR, PROJECT, PEER, UVICORN], rows)


def scale_table(scale: dict[str, dict[str, float]]) -> str:
    """Show lists and searches by the number of posts, in ms of the server, and the growth."""
    sizes = list(next(iter(scale.values())))
    rows = [
        [case, *(f"{times[size]:.2f}" for size in sizes), f"{times[sizes[-1]] / times[sizes[0]]:.1f}"]
        for case, times in scale.items()
    ]
    return table(["ms in the server, p50", *sizes, f"{sizes[-1]} / {sizes[0]}"], rows)
