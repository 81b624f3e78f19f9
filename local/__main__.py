"""The command line of the local run: `python -m local serve|reset|psql|seed`.

The environment variables PORT, DATABASE_URL and JWT_KEYS are honoured. What is wrong is one line on standard
error and exit code 1; SIGINT and SIGTERM end a command in good order, with exit code 0.
"""

import argparse
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType

from local.binaries import find_binaries
from local.data_directory import cluster_directory, reset
from local.errors import LocalRunError
from local.postgres import DATABASE, Cluster, running_url
from local.settings import Settings, database

PROJECT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run the command that the arguments name and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = {"serve": _serve, "reset": _reset, "psql": _psql, "seed": _seed}
    parser.add_argument("command", choices=commands)
    command = commands[parser.parse_args().command]
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return command(Settings.read())
    except LocalRunError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 0


def _serve(settings: Settings) -> int:
    """Serve the API, with a cluster of our own unless there is a DATABASE_URL."""
    from local.database import migrate  # noqa: PLC0415 - the other commands do without its imports
    from local.server import bind, serve  # noqa: PLC0415

    with bind(settings.port) as listener:
        if settings.database_url:
            migrate(settings.database_url)
            serve(PROJECT, settings, listener)
        else:
            with Cluster(cluster_directory(PROJECT)) as cluster:
                cluster.create_database(DATABASE)
                migrate(cluster.url(DATABASE))
                serve(PROJECT, replace(settings, database_url=cluster.url(DATABASE)), listener)
    return 0


def _reset(settings: Settings) -> int:
    """Delete the cluster of this clone."""
    if settings.database_url:
        raise LocalRunError("DATABASE_URL is set: only the local run's own database is emptied, not that one")
    reset(cluster_directory(PROJECT))
    return 0


def _psql(settings: Settings) -> int:
    """Become psql on the database that is served."""
    url = settings.database_url or running_url(cluster_directory(PROJECT), DATABASE)
    psql = find_binaries() / "psql"
    os.execv(psql, [str(psql), url])  # noqa: S606 - the program found above, in our place at the terminal


def _seed(settings: Settings) -> int:
    """Fill the database that is served with a demo data set."""
    from local.seed import seed  # noqa: PLC0415 - the other commands do without its imports

    seed(database(settings.database_url or running_url(cluster_directory(PROJECT), DATABASE)))
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
