"""Builds the artefacts for the interpreter that runs the tests."""

import fcntl
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

Build = Callable[[str], Path]

# The layer of this machine's architecture, and the other one.
LAYER, OTHER_LAYER = "CommonLayerX86", "CommonLayerArm"
if platform.machine() in {"aarch64", "arm64"}:
    LAYER, OTHER_LAYER = OTHER_LAYER, LAYER


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a function that builds a function or a layer once, and returns the directory of the artefact."""
    base = tmp_path_factory.getbasetemp()
    # The workers share the artefacts in the directory above their own.
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def build_once(name: str) -> Path:
        artefact = shared / "artefacts" / name
        artefact.parent.mkdir(exist_ok=True)
        with (shared / "artefacts.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not artefact.exists():
                partial = artefact.with_suffix(".partial")
                variables = [
                    f"ARTIFACTS_DIR={partial}",
                    f"PYTHON={sys.executable}",
                    f"PYTHON_VERSION={VERSION}",
                    # Bytecode takes most of the time, and both layers have the same recipe.
                    *(["BYTECODE=:"] if name == OTHER_LAYER else []),
                ]
                command = ["make", "-s", "-f", "sam_build/Makefile", f"build-{name}", *variables]
                subprocess.run(command, cwd=ROOT, check=True)
                partial.rename(artefact)
        return artefact

    return build_once
