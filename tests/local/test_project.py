"""The paths that the local run uses."""

from pathlib import Path

from local.project import installed_dependencies


def test_the_packages_of_the_layer_are_used_if_they_are_installed(tmp_path: Path) -> None:
    assert (installed_dependencies(tmp_path) / "pytest").is_dir()
    own = tmp_path / ".local/layer/python"
    own.mkdir(parents=True)
    assert installed_dependencies(tmp_path) == own
