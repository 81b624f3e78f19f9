"""The sample project: each test gets a new copy."""

from pathlib import Path

import pytest

from tests.local.sample import write_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path)
