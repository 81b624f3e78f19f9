"""The responses of functions and gateway responses."""

import json

import pytest

from local.gateway.api import GatewayResponse
from local.gateway.responses import MalformedResponseError, Response, gateway_response, proxy_response


def respond(result: object) -> Response:
    return proxy_response(json.dumps(result).encode())


def test_a_response_of_a_function() -> None:
    result = {
        "statusCode": 201,
        "headers": {"X-One": "1", "X-Number": 5, "X-Both": "lost"},
        "multiValueHeaders": {
            "Set-Cookie": ["a=1", "b=2"],
            "x-both": ["kept"],
            "content-type": ["text/plain"],
        },
        "body": "é",
    }
    assert respond(result) == Response(
        201,
        (
            ("X-One", "1"),
            ("X-Number", "5"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("x-both", "kept"),
            ("content-type", "text/plain"),
        ),
        "é".encode(),
    )


def test_the_default_media_type_is_json() -> None:
    assert respond({"statusCode": 200}).headers == (("Content-Type", "application/json"),)


def test_base64() -> None:
    assert respond({"statusCode": 200, "body": "AP8=", "isBase64Encoded": True}).body == b"\x00\xff"


def test_a_status_may_be_text() -> None:
    assert respond({"statusCode": "404"}).status == 404


def test_a_lone_surrogate_is_replaced() -> None:
    assert proxy_response(b'{"statusCode": 200, "body": "\\ud800"}').body == b"?"


def test_headers_of_the_connection_are_removed() -> None:
    headers = {
        "Content-Length": "5",
        "Transfer-Encoding": "chunked",
        "Connection": "close",
        "Content-Type": "a/b",
    }
    assert respond({"statusCode": 200, "headers": headers}).headers == (("Content-Type", "a/b"),)


@pytest.mark.parametrize(
    "result",
    [
        None,
        "text",
        [],
        {},
        {"statusCode": None},
        {"statusCode": True},
        {"statusCode": "ok"},
        {"statusCode": 200.5},
        {"statusCode": 100},
        {"statusCode": 600},
        {"statusCode": 200, "body": {"an": "object"}},
        {"statusCode": 200, "body": "no base64!", "isBase64Encoded": True},
        {"statusCode": 200, "body": "é", "isBase64Encoded": True},
        {"statusCode": 200, "headers": []},
        {"statusCode": 200, "headers": {"a": ["1"]}},
        {"statusCode": 200, "headers": {"a": "1\r\nb: 2"}},
        {"statusCode": 200, "headers": {"a": "\0"}},
        {"statusCode": 200, "headers": {"a b": "1"}},
        {"statusCode": 200, "headers": {"": "1"}},
        {"statusCode": 200, "multiValueHeaders": {"a": "1"}},
    ],
)
def test_a_malformed_result(result: object) -> None:
    with pytest.raises(MalformedResponseError):
        respond(result)


OVERRIDES = {
    "THROTTLED": GatewayResponse(
        None,
        {"Retry-After": "1", "Content-Type": "text/plain"},
        {"application/json": '{"why": "$context.error.message"}'},
    ),
    "DEFAULT_4XX": GatewayResponse(
        None, {"X-Default": "4"}, {"application/json": '{"detail": $context.error.messageString}'}
    ),
    "DEFAULT_5XX": GatewayResponse(503, {}, {}),
}


def test_an_override_of_this_type() -> None:
    response = gateway_response(OVERRIDES, "THROTTLED")
    assert response.status == 429
    assert json.loads(response.body) == {"why": "Too Many Requests"}
    assert dict(response.headers) == {
        "Retry-After": "1",
        "Content-Type": "text/plain",
        "x-amzn-ErrorType": "TooManyRequestsException",
    }


def test_an_override_of_the_class_of_statuses() -> None:
    response = gateway_response(OVERRIDES, "UNAUTHORIZED")
    assert response.status == 401
    assert json.loads(response.body) == {"detail": "Unauthorized"}
    assert ("X-Default", "4") in response.headers
    assert gateway_response(OVERRIDES, "INTEGRATION_TIMEOUT").status == 503


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        ("ACCESS_DENIED", 403, "User is not authorized to access this resource"),
        ("AUTHORIZER_CONFIGURATION_ERROR", 500, "Internal server error"),
        ("DEFAULT_5XX", 502, "Internal server error"),
        ("INTEGRATION_TIMEOUT", 504, "Endpoint request timed out"),
        ("MISSING_AUTHENTICATION_TOKEN", 403, "Missing Authentication Token"),
        ("REQUEST_TOO_LARGE", 413, "Request Too Long"),
        ("THROTTLED", 429, "Too Many Requests"),
        ("UNAUTHORIZED", 401, "Unauthorized"),
    ],
)
def test_the_default_of_api_gateway(kind: str, status: int, message: str) -> None:
    response = gateway_response({}, kind)
    assert response.status == status
    assert json.loads(response.body) == {"message": message}
    assert ("Content-Type", "application/json") in response.headers
