"""The command line: `python -m bench [--quick | --deletion]`.

Prints tables, and writes docs/performance/results.json and the plots beside it. --quick leaves out the
million posts, repeats less and writes nothing. It takes about three minutes instead of twenty.
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

from bench import (
    ROOT,
    attackers,
    ceilings,
    cold,
    databases,
    deletion,
    lists,
    packages,
    plots,
    principal,
    report,
    uvicorn_server,
    votes,
    warm,
)
from bench.targets import targets
from local.postgres import throwaway_cluster

RESULTS = ROOT / "docs" / "performance"


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="without the million posts, and with fewer repeats"
    )
    parser.add_argument("--deletion", action="store_true", help="only the deletion of a million votes")
    arguments = parser.parse_args()
    if arguments.deletion:
        with throwaway_cluster() as cluster:
            sys.stdout.write(report.deletion_table(deletion.measure(cluster, deletion.LARGE)) + "\n")
        return
    quick = arguments.quick
    repeats = 60 if quick else 400
    sys.stderr.write("building the packages ...\n")
    subjects = packages.build()
    zipped = {name: subject.zipped_mb for name, subject in subjects.items()}
    with throwaway_cluster() as cluster:
        machine = _machine(cluster.execute("SHOW server_version"))
        urls = databases.prepare(cluster)
        starts = cold.measure(subjects, urls, 3 if quick else 12)
        requests = warm.measure(subjects, urls, repeats)
        server = uvicorn_server.measure(subjects[packages.FASTAPI], urls[packages.UVICORN], repeats)
        pages = lists.measure(cluster, lists.SMALL if quick else lists.SMALL | lists.LARGE)
        costs = principal.measure(cluster.url("100k"))
        deleted = deletion.measure(cluster, deletion.SMALL)
        attacked = attackers.measure(cluster, 0.3 if quick else attackers.SECONDS)
        highest = [] if quick else ceilings.measure(ceilings.prepare(cluster, ceilings.SIZE))
    rates = votes.measure(3.0 if quick else 10.0)
    reached = targets(starts, requests, pages, zipped, rates, costs)
    tables = {
        "Targets": report.targets_table(reached),
        "Cold starts": report.cold_table(starts, zipped),
        "Warm requests, CPU": report.warm_table(requests, server),
        "Warm requests, wall time": report.wall_table(requests, server),
        "Lists and searches": report.lists_table(pages),
        "Principal": report.principal_table(costs),
        "Votes": report.votes_table(rates),
        "Deletion": report.deletion_table(deleted),
        "Attackers": report.attackers_table(attacked),
        "Ceilings": ceilings.table(highest),
    }
    parts = [", ".join(machine.values()), *(f"{name}\n\n{text}" for name, text in tables.items())]
    sys.stdout.write("\n\n".join(parts) + "\n")
    if not quick:
        figures = {"cold": starts, "warm": requests, "uvicorn": server, "lists": pages}
        figures |= {
            "votes": rates,
            "principal": costs,
            "deletion": deleted,
            "attackers": attacked,
            "ceilings": highest,
        }
        document = _plain({"machine": machine, "targets": reached, "zipped_mb": zipped} | figures)
        (RESULTS / "results.json").write_text(json.dumps(document, indent=1) + "\n")
        plots.draw(starts, requests, pages, RESULTS)


def _machine(postgres: str) -> dict[str, str]:
    """Describe the machine and the versions, on which the figures depend."""
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


def _plain(value: Any) -> Any:  # noqa: ANN401  # anything that figures consist of
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
