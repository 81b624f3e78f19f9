"""The local gateway in a process of its own: `python -m local serve`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from local.mail import Mailbox
from tests.support.database import PASSWORD

ROOT = Path(__file__).parents[2]
# The files that the gateway reads.
PROJECT_FILES = ("examples", "functions", "layers", "local", "migrations", "template.yaml")
# The directories from which the functions import.
SOURCES = (Path("functions"), Path("layers/common/python"))
# The packages of the layer, if `make dev` has installed them.
INSTALLED = Path(".local", "layer")
MAIL = Path(".local", "mail")
PROC = Path("/proc")
# Must never be logged: a password, the beginning of a hash or of an access token, and parts of an event.
SECRETS = (PASSWORD, "$2b$", "eyJ", "requestContext", "multiValueHeaders")


class LocalGateway(NamedTuple):
    """A running gateway: its URL, its process, the file with its output, and the mails that it sent."""

    url: str
    pid: int
    log: Path
    mailbox: Mailbox

    def workers(self) -> set[int]:
        """Return the running processes of functions."""
        children = (PROC / f"{self.pid}/task/{self.pid}/children").read_text().split()
        return {int(pid) for pid in children if b"worker.py" in _command(int(pid))}

    def resident_kilobytes(self) -> dict[int, int]:
        """Return the memory of each process of a function."""
        return {pid: _resident(pid) for pid in self.workers()}


@contextmanager
def local_gateway(database_url: str, log: Path, *, bcrypt_cost: int = 4) -> Iterator[LocalGateway]:
    """Serve the API on a database, which is migrated first, until the end of the block.

    The gateway serves a copy of the project, because an edit would restart the functions. In the copy, bcrypt
    has its lowest cost by default, because the tests would spend most of their time on hashing. The
    statements are compiled as on Lambda, because otherwise each process of a function compiles them.
    """
    project = log.parent / "project"
    _copy(project)
    _compile_statements(project)
    _set_bcrypt_cost(project / "layers/common/python/common/passwords.py", bcrypt_cost)
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "local", "serve"],
            cwd=project,
            env=os.environ | {"PORT": "0", "DATABASE_URL": database_url},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    with process:
        try:
            ready = process.stdout.readline() if process.stdout else ""
            assert ready.startswith("Ready on "), log.read_text()
            yield LocalGateway(
                ready.removeprefix("Ready on ").strip(), process.pid, log, Mailbox(project / MAIL)
            )
        finally:
            process.terminate()
    assert process.returncode == 0
    # A line about a mail has its link, whose token may look like any of them.
    printed = "\n".join(line for line in log.read_text().splitlines() if not line.startswith("mail to "))
    assert [secret for secret in SECRETS if secret in printed] == []


def _copy(project: Path) -> None:
    for name in PROJECT_FILES:
        source = ROOT / name
        if source.is_dir():
            # With the bytecode, but without what other processes are writing at this moment.
            shutil.copytree(source, project / name, ignore=shutil.ignore_patterns("*.pyc.*"))
        else:
            shutil.copy2(source, project / name)
    if (ROOT / INSTALLED).is_dir():
        (project / INSTALLED).parent.mkdir()
        (project / INSTALLED).symlink_to(ROOT / INSTALLED)


def _compile_statements(project: Path) -> None:
    for sources in SOURCES:
        modules = [
            ".".join(file.relative_to(ROOT / sources).with_suffix("").parts)
            for file in sorted((ROOT / sources).glob("*/*.py"))
            if "\nfrom common.statement " in file.read_text()
        ]
        subprocess.run(
            [sys.executable, ROOT / "sam_build/compile_queries.py", project / sources, *modules],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(str(ROOT / each) for each in SOURCES)},
            check=True,
        )


def _set_bcrypt_cost(passwords: Path, cost: int) -> None:
    text = passwords.read_text()
    changes = {"BCRYPT_COST = 12": f"BCRYPT_COST = {cost}", "$2b$12$": f"$2b${cost:02}$"}
    for before, after in changes.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    passwords.write_text(text)


def _command(pid: int) -> bytes:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes()
    except FileNotFoundError:
        return b""  # it has ended


def _resident(pid: int) -> int:
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0
