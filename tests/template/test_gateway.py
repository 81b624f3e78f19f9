"""The gateway: its limits, its own responses, its log and its host names."""

import json
import re
from typing import Any

import pytest

from common.api import SECURITY_HEADERS
from tests.template.stack import ROOT, Resource, Stack

# Each of these routes hashes a password, which takes a quarter of a second of one processor, or takes as long
# as a mail may take.
PASSWORD_ROUTES = [
    ("/login", "POST"),
    ("/users", "POST"),
    ("/users/me", "PATCH"),
    ("/users/me", "DELETE"),
    ("/users/me/password", "PUT"),
    ("/auth/password-reset", "POST"),
    ("/auth/password-reset/confirm", "POST"),
]
# TLS 1.2 or 1.3, and only for requests whose Host is the name in the TLS handshake.
TLS = {"SecurityPolicy": "SecurityPolicy_TLS13_1_2_2021_06", "EndpointAccessMode": "STRICT"}
ORIGIN = "'http://localhost:5173'"
WAIT = {"Retry-After": "'1'", "Access-Control-Expose-Headers": "'Retry-After'"}
UNAUTHORIZED = ("401", {"WWW-Authenticate": "'Bearer'"}, "Could not validate credentials")
# Status (None keeps the default), headers in addition to those of every response, and detail.
GATEWAY_RESPONSES: dict[str, tuple[str | None, dict[str, str], str]] = {
    "MISSING_AUTHENTICATION_TOKEN": ("404", {}, "Not Found"),
    "RESOURCE_NOT_FOUND": ("404", {}, "Not Found"),
    "UNAUTHORIZED": UNAUTHORIZED,
    "ACCESS_DENIED": UNAUTHORIZED,
    "REQUEST_TOO_LARGE": ("413", {}, "The request body is too large"),
    "THROTTLED": ("429", WAIT, "Too many requests, try again later"),
    "INTEGRATION_TIMEOUT": ("504", {}, "The request took too long"),
    "DEFAULT_4XX": (None, {}, "$context.error.message"),
    "DEFAULT_5XX": (None, {}, "Internal Server Error"),
}


def stage_of(stack: Stack) -> Resource:
    """Return the stage of the API."""
    [stage] = stack.of_type("AWS::ApiGateway::Stage").values()
    return stage


def body_of(stack: Stack) -> Resource:
    """Return the OpenAPI document of the API."""
    body: Resource = stack.properties("Api")["Body"]
    return body


def routes_of(stack: Stack) -> dict[tuple[str, str], Any]:
    """Return the operations that a function serves, by path and method."""
    return {
        (path, method.upper()): operation
        for path, methods in body_of(stack)["paths"].items()
        for method, operation in methods.items()
        if method != "options"
    }


def test_the_api_is_regional_and_accepts_forms_as_binary(stack: Stack) -> None:
    api = stack.properties("Api")
    assert {key: value for key, value in api.items() if key not in {"Body", "Name"}} == TLS | {
        # CloudFormation escapes a slash as in a JSON pointer.
        "BinaryMediaTypes": ["multipart~1form-data"],
        "MinimumCompressionSize": 1_024,
        "EndpointConfiguration": {"Types": ["REGIONAL"]},
        "Parameters": {"endpointConfigurationTypes": "REGIONAL"},
    }
    assert api["Name"] == "social"
    assert body_of(stack)["openapi"] == "3.0.1"


def test_every_route_has_an_alias_behind_it_and_the_authorizer_before_it(stack: Stack) -> None:
    # The handlers declare the operations and which need a token, except that of the page at /docs.
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    operations = {
        (re.sub(r"\{\w+\}", "{id}", path), method.upper()): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    } | {("/docs", "GET"): {}}
    public = {route for route, operation in operations.items() if "security" not in operation}
    routes = routes_of(stack)
    assert routes.keys() == operations.keys()
    assert ("/login", "POST") in public < routes.keys()
    for route, operation in routes.items():
        assert operation["security"] == [{"NONE": []} if route in public else {"Bearer": []}], route
        integration = operation["x-amazon-apigateway-integration"]
        assert integration["type"] == "aws_proxy"
        assert "Aliaslive/invocations" in integration["uri"]


def test_the_authorizer_reads_the_token_and_its_policy_is_kept_for_five_minutes(stack: Stack) -> None:
    assert body_of(stack)["components"]["securitySchemes"]["Bearer"] == {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "x-amazon-apigateway-authtype": "custom",
        "x-amazon-apigateway-authorizer": {
            "type": "token",
            "authorizerResultTtlInSeconds": 300,
            "authorizerUri": "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/"
            "AuthorizerFunctionAliaslive/invocations",
        },
    }


def test_sam_local_gets_the_authorizer_without_an_alias() -> None:
    local = Stack("dev", Stage="local")
    bearer = body_of(local)["components"]["securitySchemes"]["Bearer"]
    assert "AuthorizerFunction.Arn/invocations" in bearer["x-amazon-apigateway-authorizer"]["authorizerUri"]


@pytest.mark.parametrize(
    ("stage", "limit", "password_rate", "password_burst"),
    [("dev", "50", "5", "20"), ("staging", "50", "5", "20"), ("prod", "500", "50", "50")],
)
def test_routes_that_hash_a_password_have_lower_limits(
    stage: str, limit: str, password_rate: str, password_burst: str
) -> None:
    stack = Stack(stage)
    settings = stage_of(stack)["MethodSettings"]
    assert settings == [
        {
            "ResourcePath": "/*",
            "HttpMethod": "*",
            "ThrottlingRateLimit": limit,
            "ThrottlingBurstLimit": limit,
        }
    ] + [
        {
            "ResourcePath": "/" + path.replace("/", "~1"),
            "HttpMethod": method,
            "ThrottlingRateLimit": password_rate,
            "ThrottlingBurstLimit": password_burst,
        }
        for path, method in PASSWORD_ROUTES
    ]
    assert set(PASSWORD_ROUTES) < routes_of(stack).keys()
    assert int(password_rate) < int(limit)
    # Twenty logins at the same moment succeed.
    assert 20 <= int(password_burst) < int(limit)


def test_the_access_log_is_json_without_query_strings_and_headers(stack: Stack) -> None:
    stage = stage_of(stack)
    assert stage["AccessLogSetting"]["DestinationArn"] == "AccessLogs.Arn"
    assert json.loads(stage["AccessLogSetting"]["Format"]) == {
        "requestId": "$context.requestId",
        "traceId": "$context.xrayTraceId",
        "time": "$context.requestTimeEpoch",
        "ip": "$context.identity.sourceIp",
        "user": "$context.authorizer.user_id",
        "method": "$context.httpMethod",
        "resource": "$context.resourcePath",
        "status": "$context.status",
        "bytes": "$context.responseLength",
        "milliseconds": "$context.responseLatency",
        "functionMilliseconds": "$context.integrationLatency",
        "authorizerStatus": "$context.authorizer.status",
        "waf": "$context.wafResponseCode",
        "error": "$context.error.responseType",
    }
    assert stage["TracingEnabled"] is True
    assert stage["StageName"] == stack.parameters["Stage"]


def test_the_gateway_responds_to_errors_of_its_own_like_this(stack: Stack) -> None:
    responses = body_of(stack)["x-amazon-apigateway-gateway-responses"]
    assert responses.keys() == GATEWAY_RESPONSES.keys()
    shared = {name: f"'{value}'" for name, [value] in SECURITY_HEADERS.items()}
    for kind, (status, headers, detail) in GATEWAY_RESPONSES.items():
        response = responses[kind]
        assert response.get("statusCode") == status, kind
        expected = shared | {"Access-Control-Allow-Origin": ORIGIN} | headers
        assert response["responseParameters"] == {
            f"gatewayresponse.header.{name}": value for name, value in expected.items()
        }
        assert response["responseTemplates"].keys() == {"application/json"}
        template = response["responseTemplates"]["application/json"]
        # API Gateway fills in a text with its quotation marks.
        body = json.loads(template.replace("$context.error.messageString", '"$context.error.message"'))
        assert body == {"detail": detail}


def test_a_browser_may_use_every_method_and_header_of_the_routes(stack: Stack) -> None:
    methods = {method for _, method in routes_of(stack)} | {"OPTIONS"}
    paths = body_of(stack)["paths"].values()
    for options in (operations["options"] for operations in paths):
        assert "security" not in options
        integration = options["x-amazon-apigateway-integration"]
        assert integration["type"] == "mock"
        headers = {
            name.removeprefix("method.response.header.Access-Control-"): value.strip("'")
            for name, value in integration["responses"]["default"]["responseParameters"].items()
        }
        # Without Allow-Credentials: a page sets the token itself, in a header.
        assert headers.keys() == {"Allow-Origin", "Allow-Headers", "Allow-Methods", "Max-Age"}
        assert headers["Allow-Origin"] == ORIGIN.strip("'")
        assert set(headers["Allow-Methods"].split(",")) == methods
        assert headers["Allow-Headers"].split(",") == ["Authorization", "Content-Type", "Idempotency-Key"]
        assert headers["Max-Age"] == "600"


def test_a_stack_without_a_domain_name_uses_the_one_of_api_gateway(stack: Stack) -> None:
    assert not stack.of_type("AWS::ApiGateway::DomainName")
    assert is_reached_by_its_execute_api_name(stack)


def is_reached_by_its_execute_api_name(stack: Stack) -> bool:
    """Tell whether the host name that API Gateway assigned works."""
    [server] = body_of(stack)["servers"]
    return not server["x-amazon-apigateway-endpoint-configuration"]["disableExecuteApiEndpoint"]


def test_a_domain_name_is_the_only_name_of_the_api() -> None:
    names = {"DomainName": "api.example.com", "CertificateArn": "arn"}
    stack = Stack("prod", **names, HostedZoneId="Z1")
    assert not is_reached_by_its_execute_api_name(stack)
    assert stack.properties("Domain") == TLS | {
        "DomainName": "api.example.com",
        "RegionalCertificateArn": "arn",
        "EndpointConfiguration": {"Types": ["REGIONAL"]},
    }
    assert stack.properties("DomainMapping") == {
        "DomainName": "Domain",
        "RestApiId": "Api",
        "Stage": "ApiStage",
    }
    assert stack.properties("DomainRecord") == {
        "HostedZoneId": "Z1",
        "Name": "api.example.com",
        "Type": "A",
        "AliasTarget": {
            "DNSName": "Domain.RegionalDomainName",
            "HostedZoneId": "Domain.RegionalHostedZoneId",
        },
    }
    without_zone = Stack("prod", **names).resources
    assert "DomainMapping" in without_zone
    assert "DomainRecord" not in without_zone
