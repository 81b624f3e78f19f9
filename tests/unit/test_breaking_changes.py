"""The rules by which a change of the OpenAPI document breaks clients."""

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
    """Return the breaking changes after this change of the released document."""
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


# Each change of the document, and the line that reports it.
BREAKS: dict[str, tuple[Change, str]] = {
    "a path is removed": (lambda d: d["paths"].pop("/ping"), "POST /ping is removed"),
    "an operation is removed": (lambda d: d["paths"]["/things"].pop("get"), "GET /things is removed"),
    "an operation has another id": (
        lambda d: operation(d).update(operationId="make_thing"),
        "POST /things: operation id create_thing is now make_thing",
    ),
    "a parameter is removed": (
        lambda d: operation(d, "get")["parameters"].pop(0),
        "GET /things: parameter query limit is removed",
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
        "POST /things: parameter query for is now required",
    ),
    "a bound of a parameter is tighter": (
        lambda d: parameter(d, 0)["schema"].update(maximum=50),
        "GET /things: parameter query limit: maximum was 100, is now 50",
    ),
    "a parameter gets a bound": (
        lambda d: parameter(d, 0)["schema"].update(minimum=1),
        "GET /things: parameter query limit: minimum was None, is now 1",
    ),
    "a value of a parameter is removed": (
        lambda d: parameter(d, 1)["schema"].update(enum=["new"]),
        "GET /things: parameter query sort: values was ['new', 'old'], is now ['new']",
    ),
    "a body becomes required": (
        lambda d: d["paths"]["/ping"]["post"].update(requestBody={"required": True, "content": {}}),
        "POST /ping: a body is now required",
    ),
    "a media type of the body is removed": (
        lambda d: operation(d)["requestBody"]["content"].pop("application/xml"),
        "POST /things: body application/xml is removed",
    ),
    "a field of the body becomes required": (
        lambda d: new_thing(d)["required"].append("note"),
        "POST /things: body application/json: note was optional, is now required",
    ),
    "a field of the body is removed": (
        lambda d: new_thing(d)["properties"].pop("code"),
        "POST /things: body application/json: code is removed",
    ),
    "a field of the body must not be null": (
        lambda d: new_thing(d)["properties"].update(note={"type": "string"}),
        "POST /things: body application/json: note.type was null, is now string",
    ),
    "a field of the body has a narrower type": (
        lambda d: new_thing(d)["properties"]["size"].update(type="integer"),
        "POST /things: body application/json: size.type was integer or number, is now integer",
    ),
    "a field of the body must be shorter": (
        lambda d: new_thing(d)["properties"]["name"].update(maxLength=20),
        "POST /things: body application/json: name.maxLength was 50, is now 20",
    ),
    "a field of the body gets a pattern": (
        lambda d: new_thing(d)["properties"]["code"].update(pattern="^x"),
        "POST /things: body application/json: code.pattern was None, is now ^x",
    ),
    "a status is removed": (
        lambda d: operation(d)["responses"].pop("404"),
        "POST /things: status 404 is removed",
    ),
    "a media type of a response is removed": (
        lambda d: operation(d, "get")["responses"]["200"]["content"].pop("application/json"),
        "GET /things: status 200 application/json is removed",
    ),
    "a field of a response is removed": (
        lambda d: thing(d)["properties"]["owner"]["properties"].pop("email"),
        "GET /things: status 200 application/json: [].owner.email is removed",
    ),
    "a field of a response becomes optional": (
        lambda d: thing(d)["required"].remove("name"),
        "GET /things: status 200 application/json: [].name was required, is now optional",
    ),
    "a field of a response can be null": (
        lambda d: thing(d)["properties"].update(name={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        "GET /things: status 200 application/json: [].name.type was string, is now null",
    ),
    "a field of a response gets a value": (
        lambda d: thing(d)["properties"]["kind"]["enum"].append("c"),
        "GET /things: status 200 application/json: [].kind.values was ['a', 'b'], is now ['a', 'b', 'c']",
    ),
    "a field of a response loses a bound": (
        lambda d: thing(d)["properties"]["id"].pop("minimum"),
        "GET /things: status 200 application/json: [].id.minimum was 1, is now None",
    ),
    "a field of a response loses its format": (
        lambda d: thing(d)["properties"]["owner"]["properties"]["email"].pop("format"),
        "GET /things: status 200 application/json: [].owner.email.format was email, is now None",
    ),
    "authentication becomes necessary": (
        lambda d: operation(d, "get").update(security=[{"bearer": []}]),
        "GET /things: authentication by nothing is no longer sufficient",
    ),
    "a way to authenticate is removed": (
        lambda d: operation(d).update(security=[{"bearer": []}]),
        "POST /things: authentication by password is no longer sufficient",
    ),
}


@pytest.mark.parametrize(("change", "line"), BREAKS.values(), ids=BREAKS)
def test_a_breaking_change_is_reported(change: Change, line: str) -> None:
    assert changes(change) == [line]


def grow(document: Document) -> None:
    """Make every kind of change that breaks no client."""
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


def test_an_optional_addition_breaks_no_client() -> None:
    assert changes(grow) == []


def test_removed_authentication_breaks_no_client() -> None:
    assert changes(lambda document: operation(document).pop("security")) == []


def test_the_check_fails_on_a_breaking_change(tmp_path: Path) -> None:
    released, present = tmp_path / "released.json", tmp_path / "present.json"
    released.write_text(json.dumps(RELEASED))
    present.write_text(json.dumps({**RELEASED, "paths": {"/things": RELEASED["paths"]["/things"]}}))
    assert check(released, present) == (1, "POST /ping is removed\n")


def test_the_present_document_breaks_no_client_of_the_released_one() -> None:
    assert check(ROOT / "docs/openapi.released.json", ROOT / "docs/openapi.json") == (0, "")
