"""Where a PostgreSQL cluster keeps its files, and who may use them at a time."""

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

# Where root's servers, which run under another account, can reach their files, and which survives a reboot.
_MACHINE_DIRECTORY = Path("/var/tmp")  # noqa: S108 - claim() checks the owner of what is used in it
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
    """Make an empty directory for a cluster that will not be kept."""
    place = None if server_account().user is None else _MACHINE_DIRECTORY
    return Path(tempfile.mkdtemp(prefix="postgres-", dir=place))


def claim(directory: Path) -> IO[str]:
    """Make the directory and take it for ourselves until the returned lock is closed.

    Whoever else it is handed to (the lock survives `fork` and `exec`) has to close it too. A server that is
    still shutting down gets a moment to finish. Raises `ClusterUnusableError` when the directory belongs to
    another user, and `ClusterInUseError`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if hasattr(os, "geteuid") and directory.lstat().st_uid != os.geteuid():
        raise ClusterUnusableError(f"{directory} belongs to another user: delete it")
    # Searchable by the server's account, writable by us alone.
    directory.chmod(0o755)
    lock = (directory / "lock").open("w")
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                lock.close()
                raise ClusterInUseError(f"the database in {directory} is in use") from None
            time.sleep(_POLL_SECONDS)
        else:
            return lock


def reset(directory: Path) -> None:
    """Delete the cluster in `directory`, if there is one.

    Raises `ClusterInUseError` and, when it belongs to another user, `ClusterUnusableError`.
    """
    if directory.exists():
        with claim(directory):
            shutil.rmtree(directory)
