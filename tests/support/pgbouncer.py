"""PgBouncer in transaction mode in front of PostgreSQL, as a substitute for RDS Proxy."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from common.connection import PLANNER_SETTINGS, TIME_LIMITS
from local.postgres.account import server_account
from local.postgres.data_directory import temporary_directory

HOST = "127.0.0.1"
INSTALL_HINT = (
    "PgBouncer is not installed: `apt install pgbouncer` (Debian, Ubuntu), `brew install pgbouncer`"
)
START_SECONDS = 10.0
STOP_SECONDS = 10.0

# A client waits for a server connection as long as with RDS Proxy (ConnectionBorrowTimeout in template.yaml).
# A lost server is retried at once, because RDS Proxy notices a failover quickly, too.
CONFIGURATION = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 500
query_wait_timeout = 2
server_login_retry = 0.2
ignore_startup_parameters = {settings}
log_connections = 0
log_disconnections = 0
"""


def program() -> str | None:
    """Return the path of PgBouncer, or None. On Debian it is not in the PATH of users."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


class PgBouncer:
    """PgBouncer with `size` connections to the server at `url`. It keeps its port after a restart."""

    def __init__(self, url: str, directory: Path, *, size: int) -> None:
        self._account = server_account()
        self._parts = urlsplit(url)
        with socket.create_server((HOST, 0)) as listener:
            self._port: int = listener.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._directory = directory
        self._configuration = directory / "pgbouncer.ini"
        self._configuration.write_text(
            CONFIGURATION.format(
                host=self._parts.hostname,
                port=self._parts.port,
                user=self._parts.username,
                listen_port=self._port,
                size=size,
                settings=", ".join(TIME_LIMITS | PLANNER_SETTINGS),
            )
        )

    def url(self, database: str | None = None) -> str:
        """Return the URL of a database through the pooler, by default that of the server's URL."""
        netloc = f"{self._parts.username}@{HOST}:{self._port}"
        path = self._parts.path if database is None else f"/{database}"
        return self._parts._replace(netloc=netloc, path=path).geturl()

    def start(self) -> None:
        """Start PgBouncer, and return when it accepts connections."""
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program() or "pgbouncer", self._configuration],
                stderr=log,
                user=self._account.user,
                group=self._account.group,
                extra_groups=self._account.extra_groups,
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(OSError):
                socket.create_connection((HOST, self._port)).close()
                return
            assert self._process.poll() is None, (self._directory / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGQUIT) -> None:
        """Stop PgBouncer immediately. With SIGTERM, it waits for its clients from version 1.23 on."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(STOP_SECONDS)
            self._process = None


@contextmanager
def pooler(url: str, *, size: int) -> Iterator[PgBouncer]:
    """Run PgBouncer in front of the server at `url` until the end of the block."""
    directory = temporary_directory()
    # PgBouncer refuses to run as root, so another account must be able to read its configuration.
    directory.chmod(0o755)
    pgbouncer = PgBouncer(url, directory, size=size)
    try:
        pgbouncer.start()
        yield pgbouncer
    finally:
        pgbouncer.stop()
        shutil.rmtree(directory)
