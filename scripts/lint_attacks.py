"""Checks that each route of template.yaml has a case in tests/support/attacks.py."""

import re
import sys
from pathlib import Path

from tests.support.attacks import ATTACKS
from tests.support.lambdas import load_event

ROOT = Path(__file__).parents[1]
ROUTE = re.compile(r'Properties: \{RestApiId: !Ref Api, Path: "?(/[^",]*)"?, Method: ([A-Z]+)')


def main() -> int:
    """Print the routes without a case, and return the exit code."""
    routes = set(ROUTE.findall((ROOT / "template.yaml").read_text()))
    events = [load_event(attack.event) for attack in ATTACKS]
    missing = routes - {(event["resource"], event["httpMethod"]) for event in events}
    for path, method in sorted(missing):
        sys.stderr.write(
            f"{method} {path} has no case: add its most expensive request to tests/support/attacks.py\n"
        )
    return int(bool(missing) or not routes)


if __name__ == "__main__":
    sys.exit(main())
