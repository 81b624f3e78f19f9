"""Where the local run finds what it needs."""

from pathlib import Path

from local.project import installed_dependencies


def test_the_packages_of_this_interpreter_replace_those_of_the_layer_until_these_are_installed(
    tmp_path: Path,
) -> None:
    assert (installed_dependencies(tmp_path) / "pytest").is_dir()
    own = tmp_path / ".local/layer/python"
    own.mkdir(parents=True)
    assert installed_dependencies(tmp_path) == own
