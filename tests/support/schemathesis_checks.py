"""Checks that replace those of schemathesis that do not fit this API."""

import json
import re
import uuid
from pathlib import Path
from typing import Any

import jsonschema_rs
import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text())
# Values that pydantic, and thus FastAPI, converts to a boolean or an integer.
# https://docs.pydantic.dev/latest/concepts/conversion_table/
WORDS = {"1", "t", "true", "y", "yes", "on", "0", "f", "false", "n", "no", "off"}
NUMBER = re.compile(r"\s*[+-]?\d+(_\d+)*(\.0*)?\s*")
# The schema of each body, and the statuses of responses to a valid body.
BODIES = {
    "POST /posts": ("PostCreate", {201}),
    "PUT /posts/{post_id}": ("PostUpdate", {200, 403}),
    "POST /vote": ("Ballot", {201, 404, 409}),
}


@schemathesis.hook
def before_call(_: HookContext, case: Case[Any], __: dict[str, Any]) -> None:
    """Send each post with a unique idempotency key: a repeated key with another body would be refused."""
    if 0 < len(case.headers.get("Idempotency-Key") or "") < 256:
        case.headers["Idempotency-Key"] = uuid.uuid4().hex


@schemathesis.check
def an_accepted_body_is_valid_after_conversion(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """Fail if an accepted body does not match its schema, even after the conversions that pydantic makes."""
    schema, accepted = BODIES.get(case.operation.label, ("", set()))
    # Schemathesis also tries methods that are not in the document.
    if response.status_code not in accepted or case.method != case.operation.method.upper():
        return
    sent = response.request.body
    assert isinstance(sent, str | bytes), sent
    body = json.loads(sent)
    reference = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    types = {
        name: field["type"] for name, field in DOCUMENT["components"]["schemas"][schema]["properties"].items()
    }
    if isinstance(body, dict):
        body = {name: _strict(value, types.get(name)) for name, value in body.items()}
    assert jsonschema_rs.is_valid(reference, body), f"accepted: {sent!r}"


def _strict(value: Any, kind: str | None) -> object:  # noqa: ANN401  # any JSON value
    if kind == "boolean" and (value in (0, 1) or (isinstance(value, str) and value.lower() in WORDS)):
        return True
    if kind == "integer" and isinstance(value, str) and NUMBER.fullmatch(value):
        return int(value.partition(".")[0])
    if kind == "integer" and isinstance(value, bool):
        return int(value)
    return value


@schemathesis.check
def an_error_is_a_detail(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """Fail if an error response does not have our shape, even for a method that is not in the document."""
    if response.status_code >= 400 and case.method != "HEAD":
        assert response.json().keys() == {"detail"}, response.text
