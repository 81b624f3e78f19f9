"""Prints the OpenAPI document of all functions, generated from the types of their handlers."""

import importlib
import inspect
import json
import os
import re
import sys
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any

from aws_lambda_powertools.event_handler.api_gateway import Route
from aws_lambda_powertools.event_handler.openapi.merge import OpenAPIMerge
from aws_lambda_powertools.event_handler.openapi.models import License, Tag

ROOT = Path(__file__).parents[1]
# The packages with a handler. The template's order is also the order of the sections at /docs.
FUNCTIONS = [
    name
    for name in re.findall(
        r"^ +Handler: (\w+)\.handler\.handler$", (ROOT / "template.yaml").read_text(), re.MULTILINE
    )
    if (ROOT / "functions" / name).is_dir()
]
SECURITY_SCHEMES = {
    "password": {
        "type": "oauth2",
        "description": "Log in with e-mail and password.",
        "flows": {"password": {"tokenUrl": "/login", "scopes": {}}},
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Use an access token that /login returned.",
    },
}
# Statuses that the gateway, or a failing database, can return for any request.
FAULTS = (413, 429, 500, 503, 504)
# Schemas of Powertools for errors. The API does not use them: common.api has its own.
REPLACED = ("HTTPValidationError", "ResponseValidationError", "ValidationError")
SCHEMAS = "#/components/schemas/"
PROBLEM = {"application/json": {"schema": {"$ref": f"{SCHEMAS}Problem"}}}
# Schemas that Powertools names after a handler, with better names for generated clients.
RENAMED = {"Body_log_in_login_post": "Credentials"}
# Headers that tell a client what to do next.
WAIT = {
    "Retry-After": {"description": "Seconds to wait before another attempt", "schema": {"type": "integer"}}
}
HEADERS = {
    "401": {"WWW-Authenticate": {"description": "How to authenticate", "schema": {"const": "Bearer"}}},
    "429": WAIT,
    "503": WAIT,
}
NEXT_PAGE = {
    "Link": {
        "description": "Where the next page is (RFC 8288), if there is one",
        "schema": {"type": "string"},
    }
}
# Bodies that a reader can send unchanged. If the models had them, each cold start would build them.
EXAMPLES = {
    "AccountChange": {"phone_number": "+49 30 901820"},
    "Ballot": {"post_id": 1, "dir": 1},
    "Credentials": {"username": "ann@example.com", "password": "open sesame"},
    "PasswordChange": {"current_password": "open sesame", "new_password": "open barley"},
    "PasswordProof": {"current_password": "open sesame"},
    "PasswordReset": {"email": "ann@example.com"},
    "PasswordResetConfirmation": {"token": "the token in the link", "new_password": "open sesame again"},
    "PostCreate": {"title": "Hello", "content": "My first post", "published": True},
    "PostUpdate": {"title": "Hello again", "content": "My first post, edited", "published": True},
    "Refresh": {"refresh_token": "the refresh_token of the last response"},
    "Verification": {"token": "the token in the link"},
    "UserCreate": {"email": "ann@example.com", "password": "open sesame"},
}

# The document does not depend on these, but handlers check their settings when they are imported.
os.environ |= {
    "CORS_ORIGIN": "http://localhost",
    "DATABASE_URL": "postgresql://nobody@localhost/none",
    "JWT_KEYS": json.dumps({"none": "0" * 32}),
    "PASSWORD_POLICY": "reference",
    "STAGE": "local",
    "TOKEN_LIFETIME": "1800",
    **dict.fromkeys(("POSTS_PER_DAY", "PROFILE_CHANGES_PER_DAY", "REFRESHES_PER_DAY", "VOTES_PER_DAY"), "1"),
}


def main() -> None:
    """Print the document."""
    merge = OpenAPIMerge(
        title="Social",
        version="2.0.0",
        openapi_version="3.1.0",
        description="Users, posts and votes, on AWS Lambda and PostgreSQL.",
        license_info=License(name="MIT", identifier="MIT"),
        tags=[Tag(name=name, description=_first_line(_handler(name))) for name in FUNCTIONS],
        on_conflict="error",
    )
    for function in FUNCTIONS:
        merge.add_schema(_document(function))
    document = merge.get_openapi_schema()
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    _name_schemas(document)
    # Powertools writes whole bounds as 100.0.
    text = re.sub(r"(?<=\d)\.0(?=,?$)", "", json.dumps(document, indent=2), flags=re.MULTILINE)
    for name, better in RENAMED.items():
        text = text.replace(name, better)
    sys.stdout.write(text + "\n")


def _handler(function: str) -> ModuleType:
    return importlib.import_module(f"{function}.handler")


def _first_line(documented: object) -> str:
    return inspect.getdoc(documented).splitlines()[0].rstrip(".")  # type: ignore[union-attr]  # each has one


def _document(function: str) -> dict[str, Any]:
    """Return the document of one function, completed by what Powertools does not know."""
    app = _handler(function).app
    document: dict[str, Any] = json.loads(app.get_openapi_json_schema())
    for route in app._static_routes + app._dynamic_routes:  # noqa: SLF001  # no public way to a handler
        if route.include_in_schema:
            operation = document["paths"][route.openapi_path][route.method.lower()]
            operation["tags"] = [function]
            _complete(operation, route)
    for name in REPLACED:
        document["components"]["schemas"].pop(name, None)
    return document


def _complete(operation: dict[str, Any], route: Route) -> None:
    """Add to an operation what Powertools does not know."""
    operation["operationId"] = route.func.__name__
    operation["summary"] = _first_line(route.func)
    responses = operation["responses"]
    declared = route.responses or {}
    # An empty list declares a route that needs no access token, because it checks a refresh token.
    if HTTPStatus.UNAUTHORIZED in declared and route.security is None:
        operation["security"] = [{name: []} for name in SECURITY_SCHEMES]
    if HTTPStatus.UNPROCESSABLE_ENTITY not in declared:
        del responses["422"]
    # A 204 has no body, although the handler has a return type.
    responses.get("204", {}).pop("content", None)
    for status in FAULTS:
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": PROBLEM}
    for status in HEADERS.keys() & responses.keys():
        responses[status]["headers"] = HEADERS[status]
    operation["responses"] = dict(sorted(responses.items()))
    for parameter in operation.get("parameters", []):
        _describe_parameter(parameter)
        if parameter["name"] == "cursor":
            responses["200"]["headers"] = NEXT_PAGE


def _describe_parameter(parameter: dict[str, Any]) -> None:
    """Add to a parameter what its type does not say."""
    if parameter["in"] == "path":
        parameter["description"] = f"The {parameter['name'].replace('_', ' ')}"
    if parameter["in"] == "header":
        # Powertools reads it by its title, and a header cannot be null, only absent.
        parameter["name"] = parameter["schema"]["title"]
        [text] = [choice for choice in parameter["schema"].pop("anyOf") if choice["type"] != "null"]
        parameter["schema"] |= text


def _name_schemas(document: dict[str, Any]) -> None:
    """Add examples to bodies, and name the enums of parameters so that a client has one type for each."""
    schemas = document["components"]["schemas"]
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                if "enum" in parameter["schema"]:
                    name = parameter["schema"]["title"]
                    schemas[name] = {key: parameter["schema"][key] for key in ("type", "enum", "title")}
                    parameter["schema"] = {
                        "$ref": SCHEMAS + name,
                        "default": parameter["schema"]["default"],
                    }
            for content in operation.get("requestBody", {}).get("content", {}).values():
                name = content["schema"]["$ref"].removeprefix(SCHEMAS)
                model = RENAMED.get(name, name)
                if model not in EXAMPLES:
                    sys.exit(f"error: add an example of the body {model} to EXAMPLES in scripts/openapi.py")
                schemas[name]["examples"] = [EXAMPLES[model]]


main()
