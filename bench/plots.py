"""The plots of docs/performance.md."""

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.cold import Cold
from bench.packages import FASTAPI, FLOOR, NOOP, PROJECT
from bench.warm import Requests
from bench.workload import kinds

COLOURS: Final = {NOOP: "#b0b0b0", FLOOR: "#6f8faf", PROJECT: "#2f9e5f", FASTAPI: "#d0743c"}
LISTS: Final = {
    "first page": "first page",
    "page with the hot post": "page with the hot post",
    "search, no match: qqqqq": "search, no match",
    "search, in many titles": "search, common word",
    "first page, reference": "first page, LEFT JOIN and GROUP BY",
    "search, no match, reference": "search, no match, LIKE '%x%'",
}
# Write text as text and not as shapes, and the same file for the same figures.
mpl.rcParams["svg.fonttype"] = "none"
mpl.rcParams["svg.hashsalt"] = "bench"


def draw(
    cold: dict[str, Cold],
    warm: Requests,
    lists: dict[str, dict[str, float]],
    directory: Path,
) -> None:
    """Write cold.svg, warm.svg and scale.svg into a directory."""
    _save(_cold(cold), directory / "cold.svg")
    _save(_warm(warm), directory / "warm.svg")
    _save(_lists(lists), directory / "scale.svg")


def _cold(cold: dict[str, Cold]) -> Figure:
    figure, axes = _canvas("Cold start: CPU time from the process's start to readiness", 3.6)
    names = list(reversed(cold))
    colours = [COLOURS.get(name, COLOURS[PROJECT]) for name in names]
    source = axes.barh(names, [cold[name].source.cpu_ms.p50 for name in names], color=colours, alpha=0.35)
    shipped = axes.barh(names, [cold[name].bytecode.cpu_ms.p50 for name in names], color=colours)
    axes.bar_label(source, fmt="%.0f", padding=3)
    axes.bar_label(shipped, fmt="%.0f", label_type="center", color="white")
    axes.set_xlabel("ms; pale: without bytecode in the package, as FastAPI is usually deployed")
    return figure


def _warm(warm: Requests) -> Figure:
    figure, axes = _canvas("Warm request: CPU time of the function", 4.2)
    names = [kind.name for kind in kinds() if not kind.hashes]
    targets = (NOOP, FLOOR, PROJECT, FASTAPI)
    for number, target in enumerate(targets):
        places = [place + 0.2 * (number - 1.5) for place in range(len(names))]
        heights = [warm[name][target].cpu_ms.p50 for name in names]
        axes.bar(places, heights, 0.2, label=target, color=COLOURS[target])
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right")
    axes.set_ylabel("ms, p50")
    axes.legend(frameon=False)
    return figure


def _lists(lists: dict[str, dict[str, float]]) -> Figure:
    figure, axes = _canvas("Lists and searches as posts grow (10 votes a post)", 4.2)
    for case, label in LISTS.items():
        times = lists[case]
        colour = COLOURS[FASTAPI] if case.endswith("reference") else COLOURS[PROJECT]
        style = "--" if "search" in case else "-"
        axes.plot(list(times), list(times.values()), style, marker="o", label=label, color=colour)
    axes.set_yscale("log")
    axes.set_ylabel("ms in the server, p50")
    axes.set_xlabel("posts")
    axes.legend(frameon=False, fontsize="small")
    return figure


def _canvas(title: str, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(8, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})
