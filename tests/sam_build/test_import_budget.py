"""The CPU time of importing a function, as a multiple of that of an interpreter that imports nothing."""

import math
import resource
import subprocess
import sys

import pytest

from tests.sam_build.conftest import LAYER, Build
from tests.sam_build.test_artefacts import ENVIRONMENT, IMPORT
from tests.template.stack import LIVE, Stack

MAX_TURNS = 6
# One and a half times what was measured: 9, 30, and 35 to 40. SQLAlchemy alone would add 30 to 50.
BUDGETS = dict.fromkeys(LIVE, 60) | {"AuthorizerFunction": 15, "ApidocsFunction": 45}


def cpu_seconds(program: str, *arguments: str) -> float:
    """Return the CPU time of an interpreter that runs a program, in user and system mode."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-I", "-S", "-c", program, *arguments], env=ENVIRONMENT, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("name", BUDGETS)
def test_an_import_stays_within_its_budget(build: Build, name: str) -> None:
    handler = Stack("dev").properties(name)["Handler"]
    paths = [str(build(name)), str(build(LAYER) / "python")]
    bare: list[float] = []
    imported: list[float] = []
    ratio = math.inf
    # The shortest time counts, because other processes can only make an import slower.
    while ratio > BUDGETS[name] and len(bare) < MAX_TURNS:
        bare.append(cpu_seconds("pass"))
        imported.append(cpu_seconds(IMPORT, handler, *paths))
        ratio = min(imported) / min(bare)
    assert ratio <= BUDGETS[name], f"{ratio:.1f} times an interpreter that imports nothing"
