"""A PostgreSQL cluster whose server ends with the process that started it; the data stays."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from local.postgres.account import server_account
from local.postgres.binaries import find_binaries, reachable_binaries
from local.postgres.data_directory import lock_directory, temporary_directory
from local.postgres.errors import ClusterError, ClusterNotRunningError, ClusterStartError

HOST = "127.0.0.1"
USER = "postgres"

_SETTINGS = {"listen_addresses": HOST, "unix_socket_directories": "", "timezone": "UTC"}
# Fast, at the risk of losing data if the machine crashes. Each worker of the tests may open 50 connections.
_THROWAWAY_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "400",
}
# The first needs PostgreSQL 17, the second a C library with that locale.
_LOCALES = (["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"], ["--locale=C.UTF-8"])
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
_POLL_SECONDS = 0.01


class Cluster:
    """One PostgreSQL server on a free loopback port, with its files in `directory`.

    A context manager: `with Cluster(directory) as cluster: cluster.url("postgres")`. `throwaway` trades
    durability for speed and deletes the directory at the end, even if this process is killed.
    """

    def __init__(self, directory: Path, *, throwaway: bool = False) -> None:
        self._directory = directory
        self._data = directory / "data"
        self._throwaway = throwaway
        self._account = server_account()
        self._binaries = Path()
        self._port = 0
        self._lock: IO[str] | None = None
        self._supervisor: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()

    def url(self, database: str) -> str:
        """Return the libpq URL of one database of the cluster."""
        return _url(self._port, database)

    def start(self) -> None:
        """Start the server and return when it accepts connections; creates the cluster if it is missing.

        Raises `ClusterError` when the directory is in use or belongs to another user, or the server does not
        start.
        """
        self._lock = lock_directory(self._directory)
        try:
            self._binaries = reachable_binaries(find_binaries(), self._account, self._directory)
            if self._data.exists():
                self._check_version()
            else:
                self._initialise()
            self._end_orphan()
            self._launch(self._lock)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and return when it has ended; does nothing if it does not run."""
        if self._supervisor is not None:
            with suppress(BrokenPipeError):
                _pipe(self._supervisor.stdin).close()
            try:
                self._supervisor.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._supervisor.kill()
                self._supervisor.wait()
            _pipe(self._supervisor.stdout).close()
            self._supervisor = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def create_database(self, name: str) -> None:
        """Create a database if it is missing; raises `ClusterError` when the server reports an error."""
        if name not in self.execute("SELECT datname FROM pg_database").splitlines():
            self.execute(f'CREATE DATABASE "{name}"')

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Run one statement with psql and return its rows as unaligned text.

        Raises `ClusterError` when the server reports an error.
        """
        finished = self._run("psql", "-XAtqc", statement, self.url(database))
        if finished.returncode != 0:
            raise ClusterError(f"PostgreSQL: {_cause(finished.stderr)}")
        return finished.stdout.strip()

    def _run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs under the server's account and wait for its end."""
        return subprocess.run(  # noqa: S603 - a program of the installation found above
            [self._binaries / program, *arguments],
            cwd=self._directory,
            env=_environment(),
            capture_output=True,
            text=True,
            user=self._account.user,
            group=self._account.group,
            extra_groups=self._account.extra_groups,
            check=False,
        )

    def _initialise(self) -> None:
        """Run initdb in another directory, because an interrupted initdb must not look like a cluster."""
        partial = self._directory / "data.partial"
        options = ["-U", USER, "-A", "trust", "-E", "UTF8"] + (["--no-sync"] if self._throwaway else [])
        error = ""
        for locale in _LOCALES:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(mode=0o700)
            if self._account.user is not None:
                shutil.chown(partial, self._account.user, self._account.group)
            finished = self._run("initdb", "-D", partial, *options, *locale)
            if finished.returncode == 0:
                partial.rename(self._data)
                return
            error = _cause(finished.stderr)
        raise ClusterError(f"cannot create a PostgreSQL cluster in {self._directory}: {error}")

    def _check_version(self) -> None:
        """Raise `ClusterStartError` if the data is of another major version than the programs.

        The server's own error may name only a setting of the other version.
        """
        major = "".join(_lines(self._data / "PG_VERSION"))
        version = self._run("postgres", "--version").stdout.removeprefix("postgres (PostgreSQL) ").strip()
        if not version.startswith(major):
            raise ClusterStartError(
                f"the data in {self._directory} is of PostgreSQL {major}, but {version} is installed"
            )

    def _end_orphan(self) -> None:
        """Stop a server whose supervisor was killed, or delete the lock file of a server that no longer runs.

        PostgreSQL does not start while a process has the id in the lock file, even if it is another program.
        The file is stale unless a server for this directory accepts a connection.
        """
        lock_file = self._data / "postmaster.pid"
        if not lock_file.exists():
            return
        url = _url(_recorded_port(self._data), "postgres") + "?connect_timeout=5"
        if self._run("psql", "-XAtqc", "SHOW data_directory", url).stdout.strip() == str(self._data):
            self._run("pg_ctl", "stop", "-s", "-m", "fast", "-D", self._data)
        else:
            lock_file.unlink(missing_ok=True)

    def _launch(self, held_lock: IO[str]) -> None:
        """Start the server under a supervisor and wait until its lock file says that it is ready."""
        self._port = _free_port()
        settings = _SETTINGS | (_THROWAWAY_SETTINGS if self._throwaway else {})
        command = [str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(self._port)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        configuration = {
            "command": command,
            "cwd": str(self._directory),
            "user": self._account.user,
            "group": self._account.group,
            "remove": str(self._directory) if self._throwaway else None,
        }
        log = self._directory / "postgres.log"
        with log.open("w") as stderr:
            self._supervisor = subprocess.Popen(  # noqa: S603 - this interpreter and a program of this package
                [
                    sys.executable,
                    "-I",
                    "-S",
                    Path(__file__).with_name("supervisor.py"),
                    json.dumps(configuration),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=_environment(),
                text=True,
                # Ctrl-C must reach only this process, which stops the server after the last request.
                start_new_session=True,
                # The supervisor holds the lock, too, because the server may outlive this process.
                pass_fds=[held_lock.fileno()],
            )
        pid = _pipe(self._supervisor.stdout).readline().strip()
        deadline = time.monotonic() + _START_SECONDS
        while self._supervisor.poll() is None and time.monotonic() < deadline:
            lines = _lines(self._data / "postmaster.pid")
            if lines and lines[0] == pid and lines[-1].strip() == "ready":
                return
            time.sleep(_POLL_SECONDS)
        raise ClusterStartError(f"PostgreSQL did not start: {_cause(log.read_text())}")


@contextmanager
def throwaway_cluster() -> Iterator[Cluster]:
    """Run an empty cluster for tests, in a temporary directory that is deleted at the end."""
    directory = temporary_directory()
    try:
        with Cluster(directory, throwaway=True) as cluster:
            yield cluster
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def running_url(directory: Path, database: str) -> str:
    """Return the libpq URL of a database of the cluster in `directory`, whose server another process runs.

    Raises `ClusterNotRunningError` when no server runs.
    """
    port = _recorded_port(directory / "data")
    try:
        socket.create_connection((HOST, port), _CONNECT_SECONDS).close()
    except OSError:
        raise ClusterNotRunningError("the database is not running") from None
    return _url(port, database)


def _url(port: int, database: str) -> str:
    return f"postgresql://{USER}@{HOST}:{port}/{database}"


def _recorded_port(data: Path) -> int:
    """Return the port in the lock file of a server, on its fourth line; 0 if there is no such file."""
    _, _, _, port, *_ = [*_lines(data / "postmaster.pid"), *["0"] * 4]
    return int(port) if port.isdecimal() else 0


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _environment() -> dict[str, str]:
    """Return the environment without PG* variables, which would change what PostgreSQL's programs do."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except FileNotFoundError:
        return []


def _cause(output: str) -> str:
    """Return the line of a program's output that says why it failed, without hints and context."""
    lines = output.strip().splitlines() or ["no message"]
    return next((line for line in lines if "FATAL" in line or "error" in line.lower()), lines[-1])


def _pipe(pipe: IO[str] | None) -> IO[str]:
    """Return a pipe of a process that was started with it; the type checker cannot know that."""
    if pipe is None:
        raise TypeError("the process was started without this pipe")
    return pipe
