"""The artefacts, built for the interpreter that runs the tests."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

Build = Callable[[str], Path]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return what builds a function or a layer, once, by its logical id, and says where it is."""
    base = tmp_path_factory.getbasetemp()
    # Above the directories of the workers, which share the artefacts.
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def build_once(name: str) -> Path:
        artefact = shared / "artefacts" / name
        artefact.parent.mkdir(exist_ok=True)
        with (shared / "artefacts.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not artefact.exists():
                partial = artefact.with_suffix(".partial")
                command = [
                    "make",
                    "-s",
                    "-f",
                    "sam_build/Makefile",
                    f"build-{name}",
                    f"ARTIFACTS_DIR={partial}",
                ]
                subprocess.run(
                    [*command, f"PYTHON={sys.executable}", f"PYTHON_VERSION={VERSION}"], cwd=ROOT, check=True
                )
                partial.rename(artefact)
        return artefact

    return build_once
