"""A PostgreSQL cluster that lives as long as the process that starts it; its data outlives it."""

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
from local.postgres.data_directory import claim, temporary_directory
from local.postgres.errors import ClusterError, ClusterNotRunningError, ClusterStartError

HOST = "127.0.0.1"
USER = "postgres"

_SETTINGS = {"listen_addresses": HOST, "unix_socket_directories": "", "timezone": "UTC"}
# They make a test run fast, and a crash of the machine lose data.
_THROWAWAY_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# The first needs PostgreSQL 17, the second a C library that knows the locale.
_LOCALES = (["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"], ["--locale=C.UTF-8"])
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
_POLL_SECONDS = 0.01


class Cluster:
    """One PostgreSQL server on a free loopback port, with its files in `directory`.

    A context manager: `with Cluster(directory) as cluster: cluster.url("postgres")`. `throwaway` trades
    durability for speed and deletes the directory at the end, even if we are killed before.
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
        """Make the cluster if need be, start its server and return when it accepts connections.

        Raises `ClusterError` when the directory is in use or not ours, or PostgreSQL does not start.
        """
        self._lock = claim(self._directory)
        try:
            self._binaries = reachable_binaries(find_binaries(), self._account, self._directory)
            if not self._data.exists():
                self._initialise()
            self._end_orphan()
            self._launch(self._lock)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and return when it has ended; does nothing when it has not been started."""
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
        """Create a database unless the cluster has it; raises `ClusterError` when the server refuses."""
        if name not in self.execute("SELECT datname FROM pg_database").splitlines():
            self.execute(f'CREATE DATABASE "{name}"')

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Run one statement with psql and return its rows as unaligned text.

        Raises `ClusterError` when the server refuses the statement.
        """
        answer = self._run("psql", "-XAtqc", statement, self.url(database))
        if answer.returncode != 0:
            raise ClusterError(f"PostgreSQL: {_cause(answer.stderr)}")
        return answer.stdout.strip()

    def _run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs to its end, under the server's account."""
        return subprocess.run(  # noqa: S603 - a program of the installation that we found
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
        """Run initdb beside the data's place: what is cut short must not be taken for a cluster."""
        partial = self._directory / "data.partial"
        options = ["-U", USER, "-A", "trust", "-E", "UTF8"] + (["--no-sync"] if self._throwaway else [])
        error = ""
        for locale in _LOCALES:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(mode=0o700)
            if self._account.user is not None:
                shutil.chown(partial, self._account.user, self._account.group)
            answer = self._run("initdb", "-D", partial, *options, *locale)
            if answer.returncode == 0:
                partial.rename(self._data)
                return
            error = _cause(answer.stderr)
        raise ClusterError(f"PostgreSQL cannot make a cluster in {self._directory}: {error}")

    def _end_orphan(self) -> None:
        """Stop a server that has outlived its supervisor, and forget one that no longer runs.

        PostgreSQL takes any living process with the number in a stale lock file for a server, and does not
        start: the file is believed only when a server answers for this very directory.
        """
        lock_file = self._data / "postmaster.pid"
        if not lock_file.exists():
            return
        url = _url(_recorded_port(self._data), "postgres") + "?connect_timeout=5"
        if self._run("psql", "-XAtqc", "SHOW data_directory", url).stdout.strip() == str(self._data):
            self._run("pg_ctl", "stop", "-s", "-m", "fast", "-D", self._data)
        else:
            lock_file.unlink(missing_ok=True)

    def _launch(self, lock: IO[str]) -> None:
        """Start the server under its supervisor and wait until its lock file says that it is ready."""
        self._port = _free_port()
        settings = _SETTINGS | (_THROWAWAY_SETTINGS if self._throwaway else {})
        command = [str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(self._port)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        order = {
            "command": command,
            "cwd": str(self._directory),
            "user": self._account.user,
            "group": self._account.group,
            "remove": str(self._directory) if self._throwaway else None,
        }
        log = self._directory / "postgres.log"
        with log.open("w") as stderr:
            self._supervisor = subprocess.Popen(  # noqa: S603 - our own interpreter and program
                [sys.executable, "-I", "-S", Path(__file__).with_name("supervisor.py"), json.dumps(order)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=_environment(),
                text=True,
                # Ctrl-C in the terminal is for us; the server stops after the last request.
                start_new_session=True,
                # The directory is free only when the server has ended, whoever ends first.
                pass_fds=[lock.fileno()],
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
    """Run an empty cluster in a temporary directory, for a test session; nothing of it is left behind."""
    directory = temporary_directory()
    try:
        with Cluster(directory, throwaway=True) as cluster:
            yield cluster
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def running_url(directory: Path, database: str) -> str:
    """Return the libpq URL of a database of the cluster in `directory`, which another process runs.

    Raises `ClusterNotRunningError` when none does.
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
    """Return the port that the lock file of a server names, on its fourth line; 0 when there is none."""
    _, _, _, port, *_ = [*_lines(data / "postmaster.pid"), *["0"] * 4]
    return int(port) if port.isdecimal() else 0


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _environment() -> dict[str, str]:
    """Return our environment without the PG* variables that would steer PostgreSQL's programs elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except FileNotFoundError:
        return []


def _cause(output: str) -> str:
    """Return the line of a program's output that says why it failed; hints and context surround it."""
    lines = output.strip().splitlines() or ["no message"]
    return next((line for line in lines if "FATAL" in line or "error" in line.lower()), lines[-1])


def _pipe(pipe: IO[str] | None) -> IO[str]:
    """Tell the type checker that the process was started with this pipe."""
    if pipe is None:
        raise TypeError("the process was started without this pipe")
    return pipe
