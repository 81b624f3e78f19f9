"""Check that docs/performance.md shows the most expensive request of each route of the OpenAPI document.

A route without a row was never measured: add it to `bench/ceilings.py`, and run `make bench`.
"""

import json
import re
import sys
from pathlib import Path

ROW = re.compile(r"^\| ([A-Z]+ /\S*) \|", re.MULTILINE)


def missing(openapi: str, page: str) -> list[str]:
    """Return the routes in the text of an OpenAPI document that the text of a page has no row for."""
    paths = json.loads(openapi)["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    return sorted(routes - set(ROW.findall(page)))


def main() -> int:
    """Print the routes without a row; return 1 if there are any."""
    openapi, page = (Path(name).read_text() for name in sys.argv[1:])
    for route in missing(openapi, page):
        sys.stderr.write(f"{sys.argv[2]}: no ceiling for {route}: add it to bench/ceilings.py\n")
    return int(bool(missing(openapi, page)))


if __name__ == "__main__":
    sys.exit(main())
