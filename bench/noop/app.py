"""A handler that does nothing: the cost of the interpreter and of AWS's runtime client."""

from typing import Any


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return a constant."""
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": "{}"}
