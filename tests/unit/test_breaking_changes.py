"""What the check of the OpenAPI document against the released one finds, rule by rule."""

import copy
import json
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CHECK = ROOT / "scripts/breaking_changes.py"

breaking_changes: Callable[[object, object], Iterator[str]] = runpy.run_path(str(CHECK))["breaking_changes"]

Document = dict[str, Any]
Change = Callable[[Document], object]

RELEASED: Document = {
    "paths": {
        "/things": {
            "get": {
                "operationId": "list_things",
                "parameters": [
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}},
                    {"name": "sort", "in": "query", "schema": {"type": "string", "enum": ["new", "old"]}},
                    {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
                ],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {
                                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}
                            }
                        }
                    }
                },
            },
            "post": {
                "operationId": "create_thing",
                "security": [{"password": []}, {"bearer": []}],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/NewThing"}},
                        "application/xml": {"schema": {"type": "string"}},
                    },
                },
                "responses": {"201": {}, "404": {}},
            },
        },
        "/ping": {"post": {"operationId": "ping", "responses": {"204": {}}}},
    },
    "components": {
        "schemas": {
            "Thing": {
                "type": "object",
                "required": ["id", "name"],
                "properties": {
                    "id": {"type": "integer", "minimum": 1},
                    "name": {"type": "string"},
                    "kind": {"enum": ["a", "b"]},
                    "owner": {
                        "type": "object",
                        "properties": {"email": {"type": "string", "format": "email"}},
                    },
                },
            },
            "NewThing": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "maxLength": 50},
                    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    "size": {"type": "number", "minimum": 0},
                    "code": {"type": "string"},
                },
            },
        }
    },
}


def operation(document: Document, method: str = "post") -> Document:
    found: Document = document["paths"]["/things"][method]
    return found


def thing(document: Document) -> Document:
    found: Document = document["components"]["schemas"]["Thing"]
    return found


def new_thing(document: Document) -> Document:
    found: Document = document["components"]["schemas"]["NewThing"]
    return found


def parameter(document: Document, number: int) -> Document:
    found: Document = operation(document, "get")["parameters"][number]
    return found


def changes(change: Change) -> list[str]:
    """Return what breaks when the released document is changed so."""
    present = copy.deepcopy(RELEASED)
    change(present)
    return list(breaking_changes(RELEASED, present))


def check(released: Path, present: Path) -> tuple[int, str]:
    """Return the exit code and the output of the program."""
    run = subprocess.run(
        [sys.executable, CHECK, released, present], capture_output=True, text=True, check=False
    )
    assert run.stderr == ""
    return run.returncode, run.stdout


# What is done to the document, and the line that says so.
BREAKS: dict[str, tuple[Change, str]] = {
    "a path is gone": (lambda d: d["paths"].pop("/ping"), "/ping is gone"),
    "an operation is gone": (lambda d: d["paths"]["/things"].pop("get"), "GET /things is gone"),
    "an operation has another id": (
        lambda d: operation(d).update(operationId="make_thing"),
        "POST /things: operation id create_thing is now make_thing",
    ),
    "a parameter is gone": (
        lambda d: operation(d, "get")["parameters"].pop(0),
        "GET /things: parameter query limit is gone",
    ),
    "a parameter becomes required": (
        lambda d: parameter(d, 0).update(required=True),
        "GET /things: parameter query limit is now required",
    ),
    "a new parameter is required": (
        lambda d: (
            operation(d)
            .setdefault("parameters", [])
            .append({"name": "for", "in": "query", "required": True, "schema": {}})
        ),
        "POST /things: parameter query for is new and required",
    ),
    "a bound of a parameter is tighter": (
        lambda d: parameter(d, 0)["schema"].update(maximum=50),
        "GET /things: parameter query limit: maximum was 100, is now 50",
    ),
    "a parameter has a bound that it had not": (
        lambda d: parameter(d, 0)["schema"].update(minimum=1),
        "GET /things: parameter query limit: minimum was None, is now 1",
    ),
    "a choice of a parameter is gone": (
        lambda d: parameter(d, 1)["schema"].update(enum=["new"]),
        "GET /things: parameter query sort: values was ['new', 'old'], is now ['new']",
    ),
    "a body becomes required": (
        lambda d: d["paths"]["/ping"]["post"].update(requestBody={"required": True, "content": {}}),
        "POST /ping: a body is now required",
    ),
    "a form of the body is gone": (
        lambda d: operation(d)["requestBody"]["content"].pop("application/xml"),
        "POST /things: no body of application/xml is taken any more",
    ),
    "a field of the body becomes required": (
        lambda d: new_thing(d)["required"].append("note"),
        "POST /things: body: note was optional, is now required",
    ),
    "a field of the body is gone": (
        lambda d: new_thing(d)["properties"].pop("code"),
        "POST /things: field code of the body is gone",
    ),
    "a field of the body may no longer be null": (
        lambda d: new_thing(d)["properties"].update(note={"type": "string"}),
        "POST /things: body: note.type was null, is now string",
    ),
    "a field of the body has a narrower type": (
        lambda d: new_thing(d)["properties"]["size"].update(type="integer"),
        "POST /things: body: size.type was integer or number, is now integer",
    ),
    "a field of the body has to be shorter": (
        lambda d: new_thing(d)["properties"]["name"].update(maxLength=20),
        "POST /things: body: name.maxLength was 50, is now 20",
    ),
    "a field of the body has a pattern": (
        lambda d: new_thing(d)["properties"]["code"].update(pattern="^x"),
        "POST /things: body: code.pattern was None, is now ^x",
    ),
    "a status is gone": (
        lambda d: operation(d)["responses"].pop("404"),
        "POST /things: status 404 is gone",
    ),
    "an answer has no body of a form any more": (
        lambda d: operation(d, "get")["responses"]["200"]["content"].pop("application/json"),
        "GET /things: 200 is no longer answered in application/json",
    ),
    "a field of an answer is gone": (
        lambda d: thing(d)["properties"]["owner"]["properties"].pop("email"),
        "GET /things: field [].owner.email of 200 is gone",
    ),
    "a field of an answer is not always there": (
        lambda d: thing(d)["required"].remove("name"),
        "GET /things: 200: [].name was required, is now optional",
    ),
    "a field of an answer may be null": (
        lambda d: thing(d)["properties"].update(name={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        "GET /things: 200: [].name.type was string, is now null",
    ),
    "a field of an answer has a value more": (
        lambda d: thing(d)["properties"]["kind"]["enum"].append("c"),
        "GET /things: 200: [].kind.values was ['a', 'b'], is now ['a', 'b', 'c']",
    ),
    "a field of an answer has a looser bound": (
        lambda d: thing(d)["properties"]["id"].pop("minimum"),
        "GET /things: 200: [].id.minimum was 1, is now None",
    ),
    "a field of an answer loses its format": (
        lambda d: thing(d)["properties"]["owner"]["properties"]["email"].pop("format"),
        "GET /things: 200: [].owner.email.format was email, is now None",
    ),
    "authentication is asked for": (
        lambda d: operation(d, "get").update(security=[{"bearer": []}]),
        "GET /things: authentication by nothing is no longer enough",
    ),
    "a way to authenticate is gone": (
        lambda d: operation(d).update(security=[{"bearer": []}]),
        "POST /things: authentication by password is no longer enough",
    ),
}


@pytest.mark.parametrize(("change", "line"), BREAKS.values(), ids=BREAKS)
def test_what_breaks_a_client_is_found(change: Change, line: str) -> None:
    assert changes(change) == [line]


def grow(document: Document) -> None:
    """Change whatever may be changed."""
    document["paths"]["/more"] = {"get": {"operationId": "more", "responses": {"200": {}}}}
    document["paths"]["/ping"]["get"] = {"operationId": "pong", "responses": {"200": {}}}
    operation(document, "get")["parameters"].append({"name": "skip", "in": "query", "schema": {}})
    operation(document)["responses"]["409"] = {}
    operation(document)["security"].append({"key": []})
    parameter(document, 0)["schema"]["maximum"] = 1000
    parameter(document, 1)["schema"]["enum"].append("top")
    parameter(document, 2)["name"] = "x-trace"
    new_thing(document)["required"].remove("name")
    new_thing(document)["properties"]["colour"] = {"type": "string"}
    new_thing(document)["properties"]["name"].pop("maxLength")
    thing(document)["properties"]["colour"] = {"type": "string"}
    thing(document)["properties"]["kind"]["enum"].remove("a")
    thing(document)["properties"]["id"]["minimum"] = 2
    thing(document)["required"].append("kind")


def test_what_is_new_and_optional_breaks_nobody() -> None:
    assert changes(grow) == []


def test_to_ask_for_no_authentication_any_more_breaks_nobody() -> None:
    assert changes(lambda document: operation(document).pop("security")) == []


def test_the_check_fails_when_there_is_something_to_say(tmp_path: Path) -> None:
    released, present = tmp_path / "released.json", tmp_path / "present.json"
    released.write_text(json.dumps(RELEASED))
    present.write_text(json.dumps({**RELEASED, "paths": {"/things": RELEASED["paths"]["/things"]}}))
    assert check(released, present) == (1, "/ping is gone\n")


def test_the_present_document_keeps_the_clients_of_the_released_one() -> None:
    assert check(ROOT / "docs/openapi.released.json", ROOT / "docs/openapi.json") == (0, "")
