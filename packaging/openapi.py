"""Prints the OpenAPI document of all functions together, made from the types of their handlers."""

import importlib
import json
import os
import re
import sys
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler.openapi.merge import OpenAPIMerge

FUNCTIONS = ("auth", "users", "posts", "votes", "docs")
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
        "description": "Use a token that /login gave out.",
    },
}
# What the gateway or a failing database may answer to any request.
FAULTS = (413, 429, 500, 503, 504)
# Powertools' own shapes of a failure, which common.api replaces.
REPLACED = ("HTTPValidationError", "ResponseValidationError", "ValidationError")
PROBLEM = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

# The document does not depend on these, but a handler checks its settings when it is imported.
os.environ |= {
    "CORS_ORIGIN": "http://localhost",
    "DATABASE_URL": "postgresql://nobody@localhost/none",
    "JWT_KEYS": json.dumps({"none": "0" * 32}),
    "STAGE": "local",
    "TOKEN_LIFETIME": "1800",
}


def main() -> None:
    """Print the document."""
    merge = OpenAPIMerge(
        title="Social",
        version="1.0.0",
        openapi_version="3.1.0",
        description="Users, posts and votes, on AWS Lambda and PostgreSQL.",
        on_conflict="error",
    )
    for function in FUNCTIONS:
        merge.add_schema(_document(function))
    document = merge.get_openapi_schema()
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    # Powertools writes whole bounds as 100.0.
    text = re.sub(r"(?<=\d)\.0(?=,?$)", "", json.dumps(document, indent=2), flags=re.MULTILINE)
    sys.stdout.write(text + "\n")


def _document(function: str) -> dict[str, Any]:
    """Return the document of one function, with what our conventions add to each operation."""
    app = importlib.import_module(f"{function}.handler").app
    document: dict[str, Any] = json.loads(app.get_openapi_json_schema())
    for route in app._static_routes + app._dynamic_routes:  # noqa: SLF001  # no public way to a handler
        if not route.include_in_schema:
            continue
        operation = document["paths"][route.openapi_path][route.method.lower()]
        operation["operationId"] = route.func.__name__
        operation["summary"] = route.func.__doc__.splitlines()[0].rstrip(".")
        operation["tags"] = [function]
        if HTTPStatus.UNAUTHORIZED in route.responses:
            operation["security"] = [{name: []} for name in SECURITY_SCHEMES]
        if HTTPStatus.UNPROCESSABLE_ENTITY not in route.responses:
            del operation["responses"]["422"]
        # It has no body, whatever the handler's type says.
        operation["responses"].get("204", {}).pop("content", None)
        for status in FAULTS:
            operation["responses"][str(status)] = {
                "description": HTTPStatus(status).phrase,
                "content": PROBLEM,
            }
    for name in REPLACED:
        document["components"]["schemas"].pop(name, None)
    return document


main()
