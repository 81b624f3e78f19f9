"""The command line of the local run: `python -m local serve|debug|reset|psql|seed|import`.

The settings (`local/settings.py`) are environment variables or lines of a file `.env`. An error is one line
on standard error and exit code 1. SIGINT and SIGTERM end a command after it has cleaned up, with exit code 0.
"""

import argparse
import os
import shutil
import signal
import socket
import sys
from types import FrameType

from common.settings import SettingsError, parse_database_url
from local.debugger import restored_terminal, wait_for_editor
from local.errors import LocalRunError
from local.gateway.errors import ListenError, TemplateError
from local.keys import load_keys
from local.postgres import (
    Cluster,
    ClusterError,
    ClusterInUseError,
    ClusterNotRunningError,
    ClusterStartError,
    ClusterUnusableError,
    cluster_directory,
    delete,
    link,
    running_url,
)
from local.postgres.binaries import find_binaries
from local.project import KEYS, MAIL, PROJECT, installed_dependencies
from local.settings import Settings

DATABASE = "social"
# A hundred times the defaults of template.yaml, so that a developer or a test does not use them up.
QUOTAS = {
    "PostsPerDay": "20000",
    "VotesPerDay": "500000",
    "ProfileChangesPerDay": "2000",
    "RefreshesPerDay": "50000",
}
# The packages of the local run do not know these commands and settings, so the advice is added here.
_ADVICE: dict[type[Exception], str] = {
    ClusterInUseError: "this project is already being served: stop its `make dev` first",
    ClusterNotRunningError: "start it with `make dev`",
    ClusterStartError: "`make reset` starts with an empty database",
    ClusterUnusableError: "or set DATABASE_URL to use another database",
    ListenError: "set PORT to another",
}


def main() -> int:
    """Run the command that the arguments name and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = {"serve": _serve, "debug": _debug, "reset": _reset, "psql": _psql, "seed": _seed}
    parser.add_argument("command", choices=[*commands, "import"])
    parser.add_argument("source", nargs="?", help="libpq URL of the database to import")
    parser.add_argument("--accept-changes", action="store_true", help="import although rows will change")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        settings = Settings.read(PROJECT / ".env")
        if arguments.command == "import":
            return _import(settings, arguments.source, accept_changes=arguments.accept_changes)
        return commands[arguments.command](settings)
    except (LocalRunError, ClusterError, ListenError, TemplateError) as error:
        advice = _ADVICE.get(type(error))
        sys.stderr.write(f"error: {error}{f'; {advice}' if advice else ''}\n")
        return 1
    except KeyboardInterrupt:
        return 0


def _debug(settings: Settings) -> int:
    """Serve the API with functions that read from this terminal, or on which an editor sets breakpoints."""
    return _serve(settings, debug=True)


def _serve(settings: Settings, *, debug: bool = False) -> int:
    """Serve the API on the database at DATABASE_URL, or on the cluster of this clone if it is not set."""
    from local.gateway.server import bind  # noqa: PLC0415 - the other commands do not need its imports

    with bind(settings.port) as listener:
        if settings.database_url:
            _serve_on(settings.database_url, settings, listener, debug=debug)
        else:
            directory = cluster_directory(PROJECT)
            with Cluster(directory) as cluster:
                link(PROJECT, directory)
                cluster.create_database(DATABASE)
                _serve_on(cluster.url(DATABASE), settings, listener, debug=debug)
    return 0


def _serve_on(database_url: str, settings: Settings, listener: socket.socket, *, debug: bool) -> None:
    """Migrate a database, then serve the API on it."""
    from local.database import migrate  # noqa: PLC0415 - the other commands do not need its imports
    from local.gateway.application import Gateway  # noqa: PLC0415
    from local.gateway.console import write_line  # noqa: PLC0415
    from local.gateway.server import GRACE_SECONDS, serve, url_of  # noqa: PLC0415
    from local.mail import Mailbox, ses  # noqa: PLC0415
    from local.pages import APP_PATH, Pages  # noqa: PLC0415

    migrate(database_url)
    url = url_of(listener)
    parameters = {
        "Stage": "local",
        "CorsOrigin": settings.cors_origin,
        "PasswordPolicy": "reference",
        "MailFrom": settings.mail_from,
        "AppUrl": settings.app_url or f"{url}{APP_PATH}?api={url}",
        **QUOTAS,
    }
    variables = {"DATABASE_URL": database_url, "JWT_KEYS": settings.jwt_keys or load_keys(KEYS)}
    mailbox = Mailbox(MAIL)
    dependencies = installed_dependencies(PROJECT)
    if debug and settings.attach_port:
        wait_for_editor(settings.attach_port)
    with restored_terminal(), ses(mailbox, write_line) as ses_url:
        variables |= {"AWS_ENDPOINT_URL_SESV2": ses_url}
        gateway = Gateway(
            PROJECT / "template.yaml",
            parameters,
            variables,
            dependencies,
            page=Pages(mailbox),
            debug=debug,
        )
        # A function that has stopped at a breakpoint would not finish in time.
        serve(gateway, listener, _report_ready, 0 if debug else GRACE_SECONDS)


def _report_ready(url: str) -> None:
    sys.stdout.write(f"Ready on {url}\n")
    sys.stdout.write(f"Documentation: {url}/docs. Demo data: `make seed`. End: Ctrl-C.\n")
    sys.stdout.flush()


def _reset(settings: Settings) -> int:
    """Delete the cluster of this clone with its data, the token key and the mails."""
    if settings.database_url:
        raise LocalRunError("DATABASE_URL is set: `make reset` deletes only the local run's own database")
    directory = cluster_directory(PROJECT)
    deleted = delete(directory)
    sys.stdout.write(
        f"Deleted the database in {directory}.\n" if deleted else "There is no database to delete.\n"
    )
    if KEYS.exists():
        KEYS.unlink()
        sys.stdout.write("Deleted the token key: all users have to log in again.\n")
    if MAIL.exists():
        shutil.rmtree(MAIL)
        sys.stdout.write("Deleted the mails.\n")
    return 0


def _served_url(settings: Settings) -> str:
    """Return the URL of the database that `make dev` serves."""
    return settings.database_url or running_url(cluster_directory(PROJECT), DATABASE)


def _psql(settings: Settings) -> int:
    """Replace this process by psql, connected to the database that is served."""
    url = _served_url(settings)
    psql = find_binaries() / "psql"
    os.execv(psql, [str(psql), url])  # noqa: S606 - the program found above


def _seed(settings: Settings) -> int:
    """Fill the database that is served with a demo data set."""
    from local.seed import seed  # noqa: PLC0415 - the other commands do not need its imports

    url = _served_url(settings)
    seed(parse_database_url(url, local=True))
    return 0


def _import(settings: Settings, source: str | None, *, accept_changes: bool) -> int:
    """Copy the database of a course application into the database that is served."""
    from local.course_import import import_course  # noqa: PLC0415 - the other commands do not need its imports

    if not source:
        raise LocalRunError("name the database of the course application: make import FROM=postgresql://...")
    try:
        course = parse_database_url(source, local=True)
    except SettingsError as error:
        raise LocalRunError(str(error).replace("DATABASE_URL", "FROM")) from None
    except ValueError:
        raise LocalRunError("FROM is not a URL") from None
    url = _served_url(settings)
    import_course(course, parse_database_url(url, local=True), accept_changes=accept_changes)
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
