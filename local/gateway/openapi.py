"""Reads the OpenAPI document, with Amazon's extensions, that defines a REST API."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from local.gateway.api import Authorizer, GatewayResponse, MockIntegration, Route
from local.gateway.errors import TemplateError

_DEFAULT_TTL = 300
_FUNCTION = re.compile(r":function:([^:/]+)")
_INTEGRATION = "x-amazon-apigateway-integration"
_PARAMETER = re.compile(r"\{[^{}]+\}")


def read_routes(body: Mapping[str, Any]) -> tuple[Route, ...]:
    """Return the routes of the API; the method ANY stands for every method.

    Raises `TemplateError` for a path that a REST API would reject or could not match.
    """
    _check_paths(body["paths"])
    authorizers = read_authorizers(body)
    return tuple(
        Route(
            method="ANY" if method == "x-amazon-apigateway-any-method" else method.upper(),
            resource=path,
            integration=_integration(operation[_INTEGRATION]),
            authorizer=next(
                (
                    name
                    for requirement in operation.get("security", [])
                    for name in requirement
                    if name in authorizers
                ),
                None,
            ),
        )
        for path, methods in body["paths"].items()
        for method, operation in methods.items()
        if isinstance(operation, dict) and _INTEGRATION in operation
    )


def _check_paths(paths: Iterable[str]) -> None:
    names: dict[str, str] = {}
    for path in paths:
        if "<" in path:
            correct = path.replace("<", "{").replace(">", "}")
            raise TemplateError(f"the path {path} would match no request: write {correct}")
        for parameter in _PARAMETER.finditer(path):
            parent = path[: parameter.start()]
            name = names.setdefault(parent, parameter[0])
            if name != parameter[0]:
                raise TemplateError(f"the path {path} must have {name} after {parent}, like the other paths")


def read_authorizers(body: Mapping[str, Any]) -> dict[str, Authorizer]:
    """Return the Lambda authorizers of the API by the names that its methods use."""
    # OpenAPI 3 and 2 keep them in different places, and the translator writes either version.
    schemes = body.get("components", {}).get("securitySchemes", {}) or body.get("securityDefinitions", {})
    authorizers = {}
    for name, scheme in schemes.items():
        authorizer = scheme.get("x-amazon-apigateway-authorizer", {})
        function = _FUNCTION.search(authorizer.get("authorizerUri", ""))
        if function:
            authorizers[name] = Authorizer(
                function=function[1],
                header=scheme["name"],
                pattern=authorizer.get("identityValidationExpression", ""),
                ttl=float(authorizer.get("authorizerResultTtlInSeconds", _DEFAULT_TTL)),
            )
    return authorizers


def read_gateway_responses(body: Mapping[str, Any]) -> dict[str, GatewayResponse]:
    """Return the gateway responses that the API overrides, by their type."""
    return {
        kind: GatewayResponse(
            status=int(response["statusCode"]) if "statusCode" in response else None,
            headers=_headers(response.get("responseParameters", {})),
            templates=response.get("responseTemplates", {}),
        )
        for kind, response in body.get("x-amazon-apigateway-gateway-responses", {}).items()
    }


def read_binary_media_types(body: Mapping[str, Any]) -> frozenset[str]:
    """Return the media types that the API declares binary, in lower case."""
    declared = body.get("x-amazon-apigateway-binary-media-types", [])
    return frozenset(media_type.lower() for media_type in declared)


def _integration(declared: Mapping[str, Any]) -> MockIntegration | str:
    if declared["type"] == "mock":
        response = declared["responses"]["default"]
        return MockIntegration(
            status=int(response["statusCode"]),
            headers=_headers(response.get("responseParameters", {})),
            body=response.get("responseTemplates", {}).get("application/json", ""),
        )
    function = _FUNCTION.search(declared.get("uri", ""))
    # Integrations of other types are not supported: a request for one gets a 5xx response.
    return function[1] if function else ""


def _headers(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the headers whose value is a literal; API Gateway writes literals in single quotes."""
    return {
        name.rpartition(".header.")[2]: value[1:-1]
        for name, value in parameters.items()
        if ".header." in name and value.startswith("'") and value.endswith("'")
    }
