"""Packages as Lambda would unpack them, with and without bytecode."""

import io
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path
from typing import Final, NamedTuple

from packaging.requirements import Requirement

from bench import ROOT

# The interpreter without the packages of our own environment, as in Lambda.
PYTHON: Final = str(Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}"))
BUILD: Final = ROOT / ".build" / "bench"
# AWS's runtime client, which Lambda's image brings along, compiled.
CLIENT: Final = BUILD / "client"
BYTECODE: Final = "__pycache__"


class Package(NamedTuple):
    """A deployed function: its handler, its code and its layer."""

    handler: str
    task: Path
    layer: Path


def make(goal: str, directory: Path) -> Path:
    """Build a function or the layer of the project as `sam build` does; return its directory."""
    arguments = [f"PYTHON={PYTHON}", f"ARTIFACTS_DIR={directory}", goal]
    command = ["make", "--silent", "-f", "sam_build/Makefile", *arguments]
    subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603  # the project's own makefile
    return directory


def install(distributions: Iterable[str], directory: Path) -> Path:
    """Copy distributions and all that they require from our own environment; return the directory."""
    directory.mkdir(parents=True)
    wanted, seen = list(distributions), set[str]()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        found = distribution(name)
        for file in found.files or []:
            # Scripts lie outside, and bytecode is for us to add.
            if ".." not in file.parts and BYTECODE not in file.parts:
                (directory / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), directory / file)
        requirements = map(Requirement, found.requires or [])
        wanted += [
            each.name for each in requirements if not each.marker or each.marker.evaluate({"extra": ""})
        ]
    return directory


def plain(directory: Path) -> Path:
    """Copy a package without bytecode, once; return the copy."""
    copy = _beside(directory, "plain")
    if not copy.exists():
        shutil.copytree(directory, copy, ignore=shutil.ignore_patterns(BYTECODE))
    return copy


def compiled(directory: Path) -> Path:
    """Copy a package and give it bytecode as the project's makefile does, once; return the copy."""
    copy = _beside(directory, "compiled")
    if not copy.exists():
        add_bytecode(shutil.copytree(directory, copy))
    return copy


def add_bytecode(directory: Path) -> None:
    """Compile a directory, unless it is compiled."""
    command = [PYTHON, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(directory)]
    subprocess.run(command, check=True)  # noqa: S603  # the interpreter that runs us


def zipped_mb(directory: Path) -> float:
    """Return the size of a directory as a zip file, in MB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(directory.rglob("*")):
            archive.write(file, file.relative_to(directory))
    return buffer.tell() / 1e6


def _beside(directory: Path, variant: str) -> Path:
    return BUILD / variant / directory.relative_to(BUILD)
