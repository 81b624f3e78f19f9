"""Which changes of files count as an edit."""

import os
from pathlib import Path

import pytest

from local.gateway.sources import Sources


@pytest.fixture
def code(tmp_path: Path) -> Path:
    directory = tmp_path / "code" / "package"
    directory.mkdir(parents=True)
    (directory / "module.py").write_text("a = 1\n")
    (tmp_path / "template.yaml").write_text("a: 1\n")
    return directory


@pytest.fixture
def sources(code: Path) -> Sources:
    root = code.parents[1]
    return Sources([root / "code", root / "absent"], [root / "template.yaml"])


def test_nothing_has_changed(sources: Sources) -> None:
    assert sources.changes() == set()


def test_an_edit_is_reported_once(sources: Sources, code: Path) -> None:
    module = code / "module.py"
    module.write_text("a = 22\n")
    assert sources.changes() == {str(module)}
    assert sources.changes() == set()


def test_an_edit_of_the_same_length_in_the_same_second(sources: Sources, code: Path) -> None:
    module = code / "module.py"
    before = module.stat().st_mtime_ns
    module.write_text("a = 2\n")
    os.utime(module, ns=(before + 1, before + 1))
    assert sources.changes() == {str(module)}


def test_a_file_that_replaces_another(sources: Sources, code: Path) -> None:
    module, new = code / "module.py", code / "module.py.new"
    new.write_text("a = 2\n")
    os.utime(new, ns=(module.stat().st_atime_ns, module.stat().st_mtime_ns))
    new.replace(module)
    assert sources.changes() == {str(module)}


def test_added_and_removed_files(sources: Sources, code: Path) -> None:
    new = code / "deeper" / "new.py"
    new.parent.mkdir()
    new.write_text("")
    assert sources.changes() == {str(new)}
    new.unlink()
    assert sources.changes() == {str(new)}
    new.write_text("")
    assert sources.changes() == {str(new)}


def test_a_directory_that_appears(sources: Sources, code: Path) -> None:
    new = code.parents[1] / "absent" / "new.py"
    new.parent.mkdir()
    new.write_text("")
    assert sources.changes() == {str(new)}


def test_the_template(sources: Sources, code: Path) -> None:
    template = code.parents[1] / "template.yaml"
    template.unlink()
    assert sources.changes() == {str(template)}
    template.write_text("b: 1\n")
    assert sources.changes() == {str(template)}


def test_a_file_that_is_not_source_is_ignored(sources: Sources, code: Path) -> None:
    (code / "notes.txt").write_text("")
    (code / "__pycache__").mkdir()
    (code / "__pycache__" / "module.py").write_text("")
    assert sources.changes() == set()
