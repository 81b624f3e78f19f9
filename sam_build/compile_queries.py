"""Prints the compiled form of a package's queries.py, which runs without SQLAlchemy.

Usage: compile_queries.py posts > artifact/posts/queries.py

Imports `posts.queries` as a function would and prints a module with the same queries, compiled.
"""

import importlib
import sys

from common.database import Query


def main(package: str) -> None:
    """Print the compiled form of `package`.queries."""
    module = importlib.import_module(f"{package}.queries")
    queries = {name: value for name, value in vars(module).items() if isinstance(value, Query)}
    rows = sorted({query.row.__name__ for query in queries.values()})
    lines = [
        f'"""Compiled by sam_build/compile_queries.py from {package}/queries.py."""',
        "from common.database import Query",
        f"from {package}.rows import {', '.join(rows)}",
        *(
            f"{name} = Query({q.row.__name__}, {q.sql!r}, {q.parameters!r}, writes={q.writes})"
            for name, q in queries.items()
        ),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


main(sys.argv[1])
