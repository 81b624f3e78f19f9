"""The command line: `python -m bench [--quick]`.

Prints tables, and writes docs/performance/results.json and the plots beside it. --quick leaves out the
million posts, repeats less and writes nothing: two minutes instead of some ten.
"""

import argparse
import json
import os
import platform
import re
import sys
import sysconfig
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import ROOT, cold, databases, goals, plots, report, scale, served, targets, warm
from bench.progress import Progress
from local.postgres import throwaway_cluster

RESULTS = ROOT / "docs" / "performance"


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="without the million posts, and with fewer repeats"
    )
    quick = parser.parse_args().quick
    progress = Progress()
    progress.say("building")
    built = targets.build()
    zipped = {name: target.zipped_mb for name, target in built.items()}
    with throwaway_cluster() as cluster:
        machine = _machine(cluster.execute("SHOW server_version"))
        progress.say("filling the databases")
        urls = databases.prepare(cluster)
        starts = cold.measure(built, urls, 3 if quick else 12, progress)
        requests = warm.measure(built, urls, 60 if quick else 400, progress)
        server = served.measure(built[targets.PEER], urls[targets.UVICORN], 60 if quick else 400, progress)
        lists = scale.measure(cluster, scale.SMALL if quick else scale.SMALL | scale.LARGE, progress)
    reached = goals.goals(starts, requests, lists, zipped)
    tables = {
        "Targets": report.goals_table(reached),
        "Cold starts": report.cold_table(starts, zipped),
        "Warm requests, CPU": report.warm_table(requests, server),
        "Warm requests, wall time": report.wall_table(requests, server),
        "Lists and searches": report.scale_table(lists),
    }
    parts = [", ".join(machine.values()), *(f"{name}\n\n{text}" for name, text in tables.items())]
    sys.stdout.write("\n\n".join(parts) + "\n")
    if not quick:
        RESULTS.mkdir(parents=True, exist_ok=True)
        figures = {"cold": starts, "warm": requests, "uvicorn": server, "lists": lists, "zipped_mb": zipped}
        document = {"machine": machine, "goals": reached} | figures
        (RESULTS / "results.json").write_text(json.dumps(_plain(document), indent=1) + "\n")
        plots.draw(starts, requests, lists, RESULTS)
    progress.say("done")


def _machine(postgres: str) -> dict[str, str]:
    """Return what the figures depend on."""
    models = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    optimised = "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS"))
    build = "optimised" if optimised else "not optimised"
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": f"{os.cpu_count()} x {models[0] if models else platform.machine()}",
        "load": f"load {os.getloadavg()[0]:.1f} at the start",
        "python": f"Python {platform.python_version()} ({build} build)",
        "postgres": f"PostgreSQL {postgres}",
    }


def _plain(value: Any) -> Any:  # noqa: ANN401  # whatever the figures consist of
    """Return figures as JSON has them: named tuples as objects, floats without meaningless digits."""
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return round(value, 3) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
