"""How much CPU time a function takes to import, beside an interpreter that imports nothing."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sam_build.conftest import Build
from tests.sam_build.test_artefacts import ENVIRONMENT, IMPORT, layer_for_here
from tests.template.stack import LIVE, Stack

TURNS = 3
# Half as much again as was measured: 5 and 30 to 35. SQLAlchemy alone would take another 30 to 50.
BUDGETS = dict.fromkeys(LIVE, 50) | {"AuthorizerFunction": 8}


def cpu_seconds(program: str, *arguments: str) -> float:
    """Return the CPU time of an interpreter that runs a program, in user and system mode."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-I", "-S", "-c", program, *arguments], env=ENVIRONMENT, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ratio(handler: str, paths: list[Path]) -> float:
    """Return the least CPU time of an import in a few turns, as a multiple of that of a bare interpreter.

    The least, for what else the machine does only ever adds.
    """
    turns = [(cpu_seconds("pass"), cpu_seconds(IMPORT, handler, *map(str, paths))) for _ in range(TURNS)]
    return min(imported for _, imported in turns) / min(bare for bare, _ in turns)


@pytest.mark.parametrize("name", BUDGETS)
def test_a_function_keeps_within_its_budget(build: Build, name: str) -> None:
    handler = Stack("dev").properties(name)["Handler"]
    measured = ratio(handler, [build(name), layer_for_here(build) / "python"])
    assert measured <= BUDGETS[name], f"{measured:.1f} times a bare interpreter"
