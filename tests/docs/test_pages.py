"""Checks of every page: code blocks parse; commands, links and paths exist."""

import ast
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import botocore.session  # type: ignore[import-untyped]  # it has no types
import pytest
from botocore.exceptions import UnknownServiceError  # type: ignore[import-untyped]

from tests.docs.pages import (
    INLINE_CODE,
    LINK,
    PAGES,
    ROOT,
    Block,
    anchors,
    blocks,
    commands,
    prose,
)

BLOCKS = [block for page in PAGES for block in blocks(page)]
SHELL = [block for block in BLOCKS if block.language in {"bash", "console", "sh"}]
MAKEFILE = (ROOT / "Makefile").read_text()
OWN_PATH = re.compile(
    r"(functions|layers|migrations|sam_build|scripts|local|tests|bench|docs|requirements|\.github)/[\w./<>*-]*"
)
# Variables that some targets require, for pages that only name the target; and the installer, because the
# Makefile reads the settings of pip for it, which takes a second.
REQUIRED = ["STAGE=dev", "URL=https://api.example.com", "UV=uv"]
# Environment variables that the programs of a recipe read, not the recipe.
ENVIRONMENT = {"PORT", "DATABASE_URL", "JWT_KEYS"}

MAKE = re.compile(r"(?:^|[\s;&|(])make((?: +[\w./-]+(?:=(?:\"[^\"]*\"|'[^']*'|[^\s`]+))?)*)")
# Programs that the pages use and no test runs, each with the reason.
NOT_RUN = {
    "apt": "changes the machine",
    "cp": "copies a file of this project",
    "docker": "starts a container",
    "git": "changes the history",
    "npm": "loads from a registry",
    "npx": "loads from a registry",
    "pip": "loads from an index",
    "pre-commit": "changes the hooks of the clone",
    "sudo": "changes the machine",
}
# Programs that test_session.py, test_clients.py and test_worked_example.py run, and builtins of the shell.
RUN = {"curl", "sed", "rm", "openapi-python-client", "python3", "echo", "cd", "export", "for", "do", "done"}
# https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-command-reference.html
# A list, because the SAM CLI is installed in another environment, only for deployments.
SAM = {"build", "delete", "deploy", "list", "local", "logs", "package", "sync", "validate"}
# Commands of the AWS CLI that are not operations of a service.
AWS_CUSTOM_COMMANDS = {"cloudformation deploy", "logs tail", "s3 cp", "s3 ls", "s3 rm", "s3 sync"}
AWS_GLOBAL_OPTIONS = {"output", "profile", "query", "region", "no-cli-pager", "cli-binary-format"}
DIAGRAMS = {"flowchart", "sequenceDiagram", "erDiagram", "stateDiagram-v2", "xychart-beta", "gantt", "pie"}
CHECKED = {"bash", "console", "sh", "python", "json", "mermaid", "typescript", "sql", "yaml", "text", "diff"}


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_names_its_language(block: Block) -> None:
    assert block.language in CHECKED, "name the language; if it is a new one, add a check for it here"
    assert block.text.strip()


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "python"], ids=str)
def test_python_parses(block: Block) -> None:
    ast.parse(block.text)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "json"], ids=str)
def test_json_parses(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "mermaid"], ids=str)
def test_a_diagram_has_a_known_type_and_content(block: Block) -> None:
    first, *rest = block.text.split("\n")
    assert first.split()[0] in DIAGRAMS
    assert [line for line in rest if line.strip()]


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_a_shell_block_has_no_syntax_error(block: Block) -> None:
    script = "\n".join(commands(block))
    parsed = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert parsed.stderr == ""


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_every_program_in_a_page_is_run_by_a_test_or_listed_as_not_run(block: Block) -> None:
    for program in programs(block):
        assert program in {"make", "sam", "aws", *RUN, *NOT_RUN}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_in_a_page_exists(page: Path) -> None:
    for words in make_calls(page):
        assert error_of_make(*words) == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_variable_in_a_page_exists(page: Path) -> None:
    for words in make_calls(page):
        names = {word.partition("=")[0] for word in words if "=" in word}
        assert {name for name in names - ENVIRONMENT if f"$({name})" not in MAKEFILE} == set()


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_every_sam_command_in_a_page_exists(block: Block) -> None:
    for words in calls("sam", block):
        assert words[0] in SAM


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_every_aws_command_in_a_page_exists_with_its_options(block: Block) -> None:
    for service, operation, *arguments in calls("aws", block):
        if f"{service} {operation}" not in AWS_CUSTOM_COMMANDS:
            named = {word[2:].partition("=")[0] for word in arguments if word.startswith("--")}
            assert named - AWS_GLOBAL_OPTIONS <= options(service, operation, arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_has_a_target(page: Path) -> None:
    for link in LINK.findall(INLINE_CODE.sub("", prose(page))):
        address, _, anchor = link.partition("#")
        if "://" in address:
            continue
        target = (page.parent / address).resolve() if address else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_of_the_project_in_a_page_exists(page: Path) -> None:
    for code in INLINE_CODE.findall(prose(page)):
        if OWN_PATH.fullmatch(code):
            pattern = re.sub(r"<\w+>", "*", code).rstrip("/")
            assert list(ROOT.glob(pattern)), code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_name_of_the_template_in_angle_brackets_exists(page: Path) -> None:
    declared = re.findall(r"^  (\w+):$", (ROOT / "template.yaml").read_text(), re.MULTILINE)
    assert set(re.findall(r"<([A-Z]\w+)>", page.read_text())) <= set(declared)


def test_the_handler_in_the_readme_is_the_current_code() -> None:
    [sample] = [block for block in blocks(ROOT / "README.md") if block.language == "python"]
    assert sample.text in (ROOT / "functions/votes/handler.py").read_text()


def test_every_test_that_the_page_on_reliability_names_exists() -> None:
    _, rows = prose(ROOT / "docs/reliability.md").split("\n## Every protection removed once\n")
    names = re.findall(r"`([a-z]+(?:_[a-z]+)+)`", rows)
    files = list((ROOT / "tests").rglob("test_*.py"))
    tests = "\n".join(f"{file.stem}\n{file.read_text()}" for file in files)
    assert len(names) > 50
    assert [name for name in names if name not in tests] == []


def test_all_pages_exist() -> None:
    assert [page.name for page in PAGES if not page.exists()] == []
    assert {"bash", "console", "python", "json", "mermaid"} <= {block.language for block in BLOCKS}


def programs(block: Block) -> Iterator[str]:
    """Yield the programs that a block starts, including those after a pipe."""
    for command in commands(block):
        for part in re.split(r"\|\||&&|[|;]|\$\(", re.sub(r"'[^']*'|\"[^\"$]*\"", "''", command)):
            words = part.split()
            while words and re.fullmatch(r"\w+=\S*", words[0]):
                del words[0]  # an environment variable of the program
            if words and re.fullmatch(r"[\w./-]+", words[0]) and not words[0].startswith("-"):
                yield words[0].removeprefix(".venv/bin/")


def calls(program: str, block: Block) -> Iterator[list[str]]:
    """Yield the words after each call of a program in a block."""
    for command in commands(block):
        words = shlex.split(command)
        for at, word in enumerate(words):
            if word in {program, f"$({program}"}:
                yield words[at + 1 :]


def make_calls(page: Path) -> Iterator[list[str]]:
    """Yield the words after each `make` in the blocks and in the text of a page."""
    texts = INLINE_CODE.findall(prose(page))
    texts += [command for block in SHELL if block.page == page for command in commands(block)]
    for text in texts:
        for found in MAKE.finditer(text):
            yield shlex.split(found[1])


@cache
def error_of_make(*words: str) -> str:
    """Return the error of `make` with these words, without running a recipe."""
    command = ["make", "--dry-run", *REQUIRED, *words]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return run.stderr if run.returncode else ""


def options(service: str, operation: str, arguments: list[str]) -> set[str]:
    """Return the options of an AWS CLI command, from the parameters of the operation in botocore."""
    try:
        model = botocore.session.get_session().get_service_model(service)
    except UnknownServiceError:
        pytest.fail(f"the AWS CLI has no {service}")
    if operation == "wait":
        waiters = botocore.session.get_session().get_waiter_model(service)
        operation = kebab(waiters.get_waiter(camel(arguments[0])).operation)
    names = {kebab(name): name for name in model.operation_names}
    assert operation in names, f"aws {service} has no {operation}"
    shape = model.operation_model(names[operation]).input_shape
    # Each switch --name has an opposite --no-name.
    return {option for member in shape.members for option in (kebab(member), f"no-{kebab(member)}")}


def kebab(name: str) -> str:
    """Return the name that the AWS CLI uses for a name of the API."""
    hyphenated: str = botocore.xform_name(name, "-")
    return hyphenated


def camel(name: str) -> str:
    """Return the name that the API uses for a name of the AWS CLI."""
    return "".join(word.capitalize() for word in name.split("-"))
