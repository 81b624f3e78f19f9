"""Every text that a client can send has a maximum length, which is checked before any other work on it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.lambdas import call

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text())
LONG_EMAIL = "a" + "\u0301\u0323" * 40_000 + "@example.com"


def schemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a schema and all schemas in it, with references resolved."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    yield schema
    parts = [*schema.get("properties", {}).values(), schema.get("items", {})]
    for part in [*parts, *schema.get("anyOf", []), *schema.get("allOf", [])]:
        if part:
            yield from schemas(part)


def inputs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the schema of each body and parameter, with a name for it."""
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            name = f"{method.upper()} {path}"
            for parameter in operation.get("parameters", []):
                yield f"{name} {parameter['name']}", parameter["schema"]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield f"{name} body", content["schema"]


def test_every_text_in_the_document_has_a_maximum_length() -> None:
    unbounded = [
        name
        for name, schema in inputs()
        for each in schemas(schema)
        if each.get("type") == "string" and not {"maxLength", "enum", "const"} & each.keys()
    ]
    assert unbounded == []
    assert len(list(inputs())) > 20


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        ("sign_up", {"body": {"email": LONG_EMAIL, "password": "p"}}),
        ("update_account", {"user": 1, "body": {"email": LONG_EMAIL, "current_password": "p"}}),
        ("login", {"body": urlencode({"username": LONG_EMAIL, "password": "p"})}),
    ],
)
def test_an_address_that_is_too_long_is_rejected_before_it_is_normalized(
    event: str, changes: dict[str, Any]
) -> None:
    call(event, **changes)  # imports what it needs
    begin = time.process_time()
    assert call(event, **changes).status == 422
    # Normalizing it takes five seconds of CPU time.
    assert time.process_time() - begin < 1
