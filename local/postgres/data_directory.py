"""The directory of a PostgreSQL cluster and the lock on it."""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import IO

from local.postgres.account import server_account
from local.postgres.errors import ClusterInUseError, ClusterUnusableError

# Reachable for the account of root's servers, and not emptied by a reboot.
_MACHINE_DIRECTORY = Path("/var/tmp")  # noqa: S108 - lock() checks the owner of a directory in it
_LOCK_SECONDS = 3.0
_POLL_SECONDS = 0.02


def cluster_directory(project: Path) -> Path:
    """Return where the cluster of a project lives.

    In the project; for root, outside of it under a name of the project's own, because the server's account
    may not be able to reach the project.
    """
    if server_account().user is None:
        return project / ".local" / "postgres"
    resolved = project.resolve()
    return _MACHINE_DIRECTORY / f"{resolved.name}-{hashlib.sha256(bytes(resolved)).hexdigest()[:12]}"


def temporary_directory() -> Path:
    """Create an empty directory for a throwaway cluster."""
    place = None if server_account().user is None else _MACHINE_DIRECTORY
    return Path(tempfile.mkdtemp(prefix="postgres-", dir=place))


def lock(directory: Path) -> IO[str]:
    """Create the directory if it is missing and lock it until the returned file is closed.

    A child process that inherits the file holds the lock, too, until it closes the file or ends. Waits a
    moment for a server that is shutting down. Raises `ClusterUnusableError` when the directory belongs to
    another user, and `ClusterInUseError`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if hasattr(os, "geteuid") and directory.lstat().st_uid != os.geteuid():
        raise ClusterUnusableError(f"{directory} belongs to another user: delete it")
    # The server's account needs to pass through it; only this account may write.
    directory.chmod(0o755)
    lock_file = (directory / "lock").open("w")
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                lock_file.close()
                raise ClusterInUseError(f"the database in {directory} is in use") from None
            time.sleep(_POLL_SECONDS)
        else:
            return lock_file


def reset(directory: Path) -> None:
    """Delete the cluster in `directory` if there is one.

    Raises `ClusterInUseError` and, when it belongs to another user, `ClusterUnusableError`.
    """
    if directory.exists():
        with lock(directory):
            shutil.rmtree(directory)
