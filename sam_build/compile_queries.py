"""Compiles the statements that modules declare, and writes modules that run without SQLAlchemy.

Usage: compile_queries.py artifact posts.queries posts.lists

It writes artifact/posts/queries.py and artifact/posts/lists.py. One process compiles all modules of a
function, because importing SQLAlchemy and the models takes most of the time.
"""

import importlib
import sys
from pathlib import Path

from common.database import Statement


def compiled(name: str) -> str:
    """Return the source of the compiled form of a module."""
    module = importlib.import_module(name)
    package = name.partition(".")[0]
    statements = {name: value for name, value in vars(module).items() if isinstance(value, Statement)}
    rows = sorted({each.row_type.__name__ for each in statements.values()})
    lines = [
        f'"""Compiled by sam_build/compile_queries.py from {name}."""',
        "from common.database import Statement",
        f"from {package}.rows import {', '.join(rows)}",
        *(
            f"{name} = Statement({s.row_type.__name__}, {s.sql!r}, {s.parameters!r}, writes={s.writes})"
            for name, s in statements.items()
        ),
    ]
    return "\n".join(lines) + "\n"


for module_name in sys.argv[2:]:
    Path(sys.argv[1], *module_name.split(".")).with_suffix(".py").write_text(compiled(module_name))
