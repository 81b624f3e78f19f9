"""The statements of the functions and the layer."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.database import Statement

ROOT = Path(__file__).parents[2]
DECLARATION = "from common.statement import statement"


def statements() -> Iterator[tuple[str, Statement[..., Any]]]:
    """Return every statement of the functions and the layer by the name of its module and its own."""
    for path in sorted([*ROOT.glob("functions/*/*.py"), *ROOT.glob("layers/common/python/common/*.py")]):
        if DECLARATION in path.read_text():
            module = importlib.import_module(f"{path.parent.name}.{path.stem}")
            for name, value in vars(module).items():
                if isinstance(value, Statement):
                    yield f"{module.__name__}.{name}", value
