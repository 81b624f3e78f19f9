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

# The account of root's servers can reach it, and a reboot does not empty it.
_MACHINE_DIRECTORY = Path("/var/tmp")  # noqa: S108 - lock_directory() checks the owner of a directory in it
# A file in a directory outside of its project. It contains the path of the project.
_OWNER_FILE = "project"
_LOCK_SECONDS = 3.0
_POLL_SECONDS = 0.02


def cluster_directory(project: Path) -> Path:
    """Return the directory of a project's cluster, which may not exist yet.

    It is `.local/postgres` in the project. For root it is outside of the project, because the server's
    account may not be able to reach the project. Then `.local/postgres.root` links to it (see `link`), so
    that a project that was moved finds its data again. A copy of a project gets a cluster of its own.
    """
    if server_account().user is None:
        return project / ".local" / "postgres"
    linked = _link_of(project)
    if linked.is_symlink():
        directory = linked.readlink()
        if _owner(directory) in {None, project.resolve()}:
            return directory
    resolved = project.resolve()
    digest = hashlib.sha256(bytes(resolved))
    while True:
        directory = _MACHINE_DIRECTORY / f"{resolved.name}-{digest.hexdigest()[:12]}"
        if _owner(directory) in {None, resolved}:
            return directory
        # Another project uses this directory, so continue with another name.
        digest.update(b"another")


def link(project: Path, directory: Path) -> None:
    """Record that an existing `directory` outside of the project belongs to the project."""
    if directory.is_relative_to(project):
        return
    (directory / _OWNER_FILE).write_text(str(project.resolve()))
    linked = _link_of(project)
    linked.parent.mkdir(exist_ok=True)
    linked.unlink(missing_ok=True)
    linked.symlink_to(directory)


def _link_of(project: Path) -> Path:
    return project / ".local" / "postgres.root"


def _owner(directory: Path) -> Path | None:
    """Return the project that uses the directory; None if no project does, or if it was moved or deleted."""
    try:
        owner = Path((directory / _OWNER_FILE).read_text())
        return owner if _link_of(owner).readlink() == directory else None
    except (OSError, ValueError):
        return None


def temporary_directory() -> Path:
    """Create an empty directory for a throwaway cluster."""
    place = None if server_account().user is None else _MACHINE_DIRECTORY
    return Path(tempfile.mkdtemp(prefix="postgres-", dir=place))


def lock_directory(directory: Path) -> IO[str]:
    """Create the directory if it is missing and lock it until the returned file is closed.

    A child process that inherits the file holds the lock, too, until it closes the file or ends. Waits a
    moment, because a server may be shutting down. Raises `ClusterUnusableError` when the directory belongs to
    another user, and `ClusterInUseError` when another process holds the lock.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if hasattr(os, "geteuid") and directory.lstat().st_uid != os.geteuid():
        raise ClusterUnusableError(f"{directory} belongs to another user: delete it")
    # The server's account must be able to open files in it; only this account may write.
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


def delete(directory: Path) -> bool:
    """Delete the cluster in `directory`; return whether there was one.

    Raises `ClusterInUseError` when its server runs, and `ClusterUnusableError` when another user owns it.
    """
    if not directory.exists():
        return False
    with lock_directory(directory):
        shutil.rmtree(directory)
    return True
