"""The clients of docs/api.md: generate them, check their types and run them."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, commands, under

pytestmark = pytest.mark.long

ADDRESS = "http://127.0.0.1:3000"
PROGRAMS = Path(sys.executable).parent


@pytest.fixture
def directory(api: str, tmp_path: Path) -> Path:
    """Return a directory with the generated client and the program of the page as program.py."""
    generation, program, *_ = under(ROOT / "docs/api.md", "Clients")
    _install, generate = commands(generation)
    name, *arguments = shlex.split(generate.replace(ADDRESS, api))
    run(tmp_path, PROGRAMS / name, *arguments, "--fail-on-warning")
    (tmp_path / "program.py").write_text(program.text.replace(ADDRESS, api))
    return tmp_path


def test_a_generated_client_signs_up_logs_in_posts_votes_and_lists(directory: Path) -> None:
    assert run(directory, sys.executable, "program.py") == "Hello bob@example.com 1\n"


def test_a_program_with_a_generated_client_passes_a_strict_check_of_types(directory: Path) -> None:
    # The generated code has small type errors of its own; do not report them.
    check = run(directory, sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "program.py")
    assert "Success" in check


def test_the_typescript_client_passes_a_strict_check_of_types_and_runs(api: str, tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("there is no npm: install Node.js")
    _python_commands, _python, shell, program, *_ = under(ROOT / "docs/api.md", "Clients")
    (tmp_path / "program.mts").write_text(program.text.replace(ADDRESS, api))
    outputs = [run(tmp_path, *shlex.split(command.replace(ADDRESS, api))) for command in commands(shell)]
    assert outputs[-1] == "Hello eve@example.com 1\n"


def run(directory: Path, *command: str | Path) -> str:
    """Run a command in a directory and return its output."""
    # The generator runs ruff on the generated code.
    environment = os.environ | {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
