"""The locks: every version has hashes, and every installation checks them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted([*ROOT.glob("requirements/*.txt"), *ROOT.glob("[lm]*/**/requirements.txt")])
LOCKED = re.compile(r"[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}\b")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_every_locked_version_has_hashes(lock: Path) -> None:
    versions = lock.read_text().replace("\\\n", "").splitlines()
    assert versions
    assert [version for version in versions if not LOCKED.match(version)] == []


def test_nothing_is_installed_without_its_hash() -> None:
    installs = [
        line
        for makefile in ("Makefile", "sam_build/Makefile")
        for line in (ROOT / makefile).read_text().splitlines()
        if "pip install" in line
    ]
    assert len(installs) == 3
    assert all("--require-hashes" in line for line in installs)
