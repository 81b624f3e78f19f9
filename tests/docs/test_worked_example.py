"""Follows the worked examples of docs/development.md in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.docs.pages import ROOT, Block, commands, under

PAGE = ROOT / "docs/development.md"
RESOURCE = under(PAGE, "Add a resource, as a worked example")
FUNCTION = under(PAGE, "Add a function, as a worked example")
EXAMPLE = RESOURCE + FUNCTION
MAX_LINES = 100
PARTS = (
    "functions",
    "layers",
    "migrations",
    "sam_build",
    "scripts",
    "local",
    "bench",
    "tests",
    "docs",
    "template.yaml",
    "pyproject.toml",
    "samconfig.toml",
)
CACHES = shutil.ignore_patterns("__pycache__")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project to which both examples were applied."""
    not_followed_here(EXAMPLE)
    copy = tmp_path_factory.mktemp("project")
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=CACHES)
        else:
            shutil.copy2(ROOT / name, copy / name)
    # The dependencies that functions import in the local run. `make dev` installs them.
    (copy / ".local").mkdir()
    (copy / ".local/layer").symlink_to(ROOT / ".local/layer")
    for block in EXAMPLE:
        follow(block, copy)
    return copy


@pytest.fixture(scope="module")
def described(project: Path) -> Path:
    """Return the copy with the OpenAPI document that `make openapi` writes."""
    (project / "docs/openapi.json").write_text(run(project, "python", "scripts/openapi.py"))
    return project


def test_a_resource_is_added_in_under_a_hundred_lines() -> None:
    assert 20 < sum(len(written(block)) for block in RESOURCE) < MAX_LINES


def test_the_revision_of_the_example_follows_the_newest() -> None:
    not_followed_here(EXAMPLE)
    [revision] = [block.text for block in RESOURCE if target(block).startswith("migrations/versions/")]
    newest = newest_revision(ROOT / "migrations/versions")
    assert f'down_revision = "{newest}"' in revision, f"{PAGE.name}: the newest revision is {newest}"


def test_every_step_fits_the_project_as_it_is(project: Path) -> None:
    assert (project / "functions/posts/handler.py").read_text().count("def list_tags(") == 1
    run(project, "ruff", "format", "--check", *SOURCES)
    run(project, "ruff", "check", *SOURCES)


@pytest.mark.long
def test_both_pass_their_tests_and_those_that_find_what_is_missing(described: Path) -> None:
    tests = [
        "tests/handlers/test_tags.py",
        "tests/handlers/test_bookmarks.py",
        "tests/handlers/test_protection.py",
        "tests/database/test_one_against_all.py",
        "tests/migrations/test_drift.py",
        "tests/template/test_alarms.py",
        "tests/template/test_deployment.py",
        "tests/template/test_functions.py",
        "tests/template/test_gateway.py",
        "tests/template/test_network.py",
        "tests/template/test_privileges.py",
        "tests/test_architecture.py",
    ]
    run(described, "pytest", "-n", "0", "-p", "no:cacheprovider", *tests)


@pytest.mark.long
def test_both_pass_the_checks(described: Path) -> None:
    document = (described / "docs/openapi.json").read_text()
    for name in ("list_tags", "read_bookmark", "move_bookmark"):
        assert f'"operationId": "{name}"' in document
    run(described, "mypy", "--follow-imports=silent", *SOURCES)
    run(described, "python", "scripts/breaking_changes.py", "docs/openapi.released.json", "docs/openapi.json")
    run(described, "python", "scripts/check_ceilings.py", "docs/openapi.json", "docs/performance.md")
    run(described, "python", "scripts/lint_attacks.py")
    run(described, "python", "scripts/lint_revisions.py")
    run(described, "lint-imports", "--no-cache")


@pytest.mark.long
def test_the_example_of_a_test_passes(project: Path) -> None:
    [example] = under(PAGE, "Write a test")
    not_followed_here([example])
    follow(example, project)
    run(project, "pytest", "-n", "0", "-p", "no:cacheprovider", target(example))


@pytest.mark.long
def test_both_and_a_changed_handler_are_served(project: Path) -> None:
    with serving(project) as url:
        tags = httpx.get(f"{url}/posts/1/tags", timeout=30)
        assert (tags.status_code, tags.json()) == (200, [])
        assert httpx.get(f"{url}/bookmark", timeout=30).status_code == 401
        assert "Welcome." in httpx.get(url, timeout=30).text
        handler = project / "functions/apidocs/handler.py"
        handler.write_text(handler.read_text().replace("Welcome.", "Hello there."))
        assert "Hello there." in httpx.get(url, timeout=30).text


def target(block: Block) -> str:
    """Return the file that a block creates or changes: its first line, `# <file>` or `--- a/<file>`."""
    return block.text.partition("\n")[0].removeprefix("# ").removeprefix("--- a/").strip()


def written(block: Block) -> list[str]:
    """Return the lines that a reader has to write to follow a block."""
    body = block.text.splitlines()[block.language != "bash" :]
    if block.language == "diff":
        body = [line[1:] for hunk in hunks(block) for line in hunk.splitlines() if line.startswith("+")]
    return [line for line in body if line.strip()]


# The Python files that the examples create or change.
SOURCES = sorted({target(block) for block in EXAMPLE if target(block).endswith(".py")})


def follow(block: Block, project: Path) -> None:
    """Follow a block: run its commands, or create or change its file."""
    if block.language == "bash":
        for command in commands(block):
            subprocess.run(["bash", "-c", command], cwd=project, check=True)
        return
    file = project / target(block)
    if block.language == "diff":
        for hunk in hunks(block):
            # git would apply the hunk at the nearest place, which may be the wrong one.
            assert file.read_text().count(side(hunk, "-")) == 1, f"{target(block)}:\n{side(hunk, '-')}"
        run(project, "git", "apply", "--verbose", text=block.text)
        return
    assert not file.exists(), file
    file.parent.mkdir(exist_ok=True)
    file.write_text(block.text.partition("\n")[2])


def not_followed_here(example: list[Block]) -> None:
    """Skip the test if the example was followed in this clone, because it cannot be followed twice."""
    for block in example:
        if followed(block):
            pytest.skip(f"the example of {PAGE.name} has been followed here already: see {target(block)}")


def followed(block: Block) -> bool:
    """Return whether the project contains what a block writes; always false for commands."""
    if block.language == "bash":
        return False
    file = ROOT / target(block)
    if block.language == "diff":
        text = file.read_text()
        return all(side(hunk, "+") in text for hunk in hunks(block))
    return file.exists()


def hunks(block: Block) -> list[str]:
    """Return the hunks of a diff, without their headers."""
    return re.split(r"^@@ .+ @@\n", block.text, flags=re.MULTILINE)[1:]


def side(hunk: str, sign: str) -> str:
    """Return the lines of a hunk before (-) or after (+) the change."""
    return "".join(f"{line[1:]}\n" for line in hunk.splitlines() if line[:1] in {sign, " ", ""})


def newest_revision(versions: Path) -> str:
    """Return the revision that no other revision follows."""
    text = "\n".join(file.read_text() for file in versions.glob("*.py"))
    all_of_them, followed = (
        set(re.findall(rf'^{name} = "(\w+)"', text, re.MULTILINE)) for name in ("revision", "down_revision")
    )
    newest: str
    [newest] = all_of_them - followed
    return newest


def run(project: Path, program: str, *arguments: str, text: str = "") -> str:
    """Run a program in the project with a text as its input, and return its output. It must succeed."""
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PYTHONPATH": "functions:layers/common/python:.", "PATH": programs}
    command = [shutil.which(program, path=programs) or program, *arguments]
    done = subprocess.run(
        command, cwd=project, env=environment, input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def serving(project: Path) -> Iterator[str]:
    """Serve a project with a PostgreSQL of its own, as `make dev` does, until the end of the block."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | {
        "PORT": "0"
    }
    command = [sys.executable, "-m", "local"]
    process = subprocess.Popen(
        [*command, "serve"], cwd=project, env=environment, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            ready = process.stdout.readline() if process.stdout else ""
            assert ready.startswith("Ready on ")
            yield ready.removeprefix("Ready on ").strip()
        finally:
            process.terminate()
    # As root, the database is outside of the copy.
    subprocess.run([*command, "reset"], cwd=project, env=environment, check=True)
