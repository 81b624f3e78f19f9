"""Checks beside those of schemathesis, where its own say too much or too little."""

import json
import re
import uuid
from pathlib import Path
from typing import Any

import jsonschema_rs
import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text())
# What pydantic reads as a boolean or a whole number beside JSON's own, and FastAPI with it.
# https://docs.pydantic.dev/latest/concepts/conversion_table/
WORDS = {"1", "t", "true", "y", "yes", "on", "0", "f", "false", "n", "no", "off"}
NUMBER = re.compile(r"\s*[+-]?\d+(_\d+)*(\.0*)?\s*")
# Which responses say that the body was accepted, whatever came of it then.
BODIES = {
    "POST /posts": ("PostCreate", {201}),
    "PUT /posts/{post_id}": ("PostCreate", {200, 403}),
    "POST /vote": ("Ballot", {201, 404, 409}),
}


@schemathesis.hook
def before_call(_: HookContext, case: Case[Any], __: dict[str, Any]) -> None:
    """Send each post with a key of its own: another body with the same key would be refused for that."""
    if 0 < len(case.headers.get("Idempotency-Key") or "") < 256:
        case.headers["Idempotency-Key"] = uuid.uuid4().hex


@schemathesis.check
def what_is_accepted_is_valid_but_for_lax_types(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """Refuse an accepted body that is still not what its schema says when lax values are made strict."""
    schema, accepted = BODIES.get(case.operation.label, ("", set()))
    # A method that is not there is tried, too.
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


def _strict(value: Any, kind: str | None) -> object:  # noqa: ANN401  # whatever JSON holds
    if kind == "boolean" and (value in (0, 1) or (isinstance(value, str) and value.lower() in WORDS)):
        return True
    if kind == "integer" and isinstance(value, str) and NUMBER.fullmatch(value):
        return int(value.partition(".")[0])
    if kind == "integer" and isinstance(value, bool):
        return int(value)
    return value


@schemathesis.check
def an_error_is_a_detail(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """Refuse an error of another shape, also where the document names none: a method that is not there."""
    if response.status_code >= 400 and case.method != "HEAD":
        assert response.json().keys() == {"detail"}, response.text
