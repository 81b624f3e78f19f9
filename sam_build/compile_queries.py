"""Compiles the statements that a module declares, and prints a module that runs without SQLAlchemy.

Usage: compile_queries.py posts.queries > artifact/posts/queries.py
"""

import importlib
import sys

from common.database import Statement


def main(name: str) -> None:
    """Print the compiled form of a module."""
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
    sys.stdout.write("\n".join(lines) + "\n")


main(sys.argv[1])
