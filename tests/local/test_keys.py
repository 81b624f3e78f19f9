"""The token key that the local run keeps."""

import json
import stat
from pathlib import Path

import pytest

from local.errors import LocalRunError
from local.keys import load_keys


def test_a_key_is_made_once(tmp_path: Path) -> None:
    file = tmp_path / ".local" / "jwt_keys.json"
    keys = load_keys(file)
    [key] = json.loads(keys).values()
    assert len(key.encode()) >= 32
    assert load_keys(file) == keys
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_keys(tmp_path / "jwt_keys.json") != keys


@pytest.mark.parametrize("content", ["", "{}", '{"a": "short"}'])
def test_a_damaged_file(tmp_path: Path, content: str) -> None:
    file = tmp_path / "jwt_keys.json"
    file.write_text(content)
    with pytest.raises(LocalRunError, match=r"jwt_keys\.json has no token key: delete it"):
        load_keys(file)


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(LocalRunError, match=r"cannot write .*; set JWT_KEYS"):
        load_keys(tmp_path / "absent" / ".local" / "jwt_keys.json")
