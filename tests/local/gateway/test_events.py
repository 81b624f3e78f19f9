"""The events of functions, field by field as API Gateway documents them."""

import json
from typing import Any

import pytest

from local.gateway.api import Route
from local.gateway.events import Request, method_arn, proxy_event, token_event
from local.gateway.routes import Match


def request(
    path: str = "/things/7/",
    query: str = "",
    headers: list[tuple[str, str]] | None = None,
    method: str = "GET",
) -> Request:
    scope = {
        "method": method,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers or []],
        "client": ("203.0.113.7", 50000),
        "server": ("127.0.0.1", 3000),
    }
    return Request.from_scope(scope)


def event(
    request: Request,
    body: bytes = b"",
    parameters: dict[str, str] | None = None,
    authorizer: dict[str, Any] | None = None,
    binary: frozenset[str] = frozenset({"multipart/form-data"}),
) -> dict[str, Any]:
    match = Match(Route("GET", "/things/{id}", "Echo", "Bearer"), parameters or {})
    return proxy_event("local", request, body, match, authorizer, binary)


def test_the_whole_event() -> None:
    sent = request(
        query="a=1&b=x%20y&a=2",
        headers=[
            ("Host", "localhost:3000"),
            ("User-Agent", "curl/8"),
            ("accept", "*/*"),
            ("Accept", "text/html"),
        ],
    )
    built = event(
        sent, b'{"n": 1}', {"id": "7"}, {"user_id": "7", "principalId": "7", "integrationLatency": 3}
    )
    context = built.pop("requestContext")
    headers = built.pop("multiValueHeaders")
    assert built == {
        "resource": "/things/{id}",
        "path": "/things/7/",
        "httpMethod": "GET",
        "headers": {name: values[-1] for name, values in headers.items()},
        "queryStringParameters": {"a": "2", "b": "x y"},
        "multiValueQueryStringParameters": {"a": ["1", "2"], "b": ["x y"]},
        "pathParameters": {"id": "7"},
        "stageVariables": None,
        "body": '{"n": 1}',
        "isBase64Encoded": False,
    }
    assert headers == {
        "Host": ["localhost:3000"],
        "User-Agent": ["curl/8"],
        "Accept": ["*/*", "text/html"],
        "X-Amzn-Trace-Id": [sent.trace_id],
        "X-Forwarded-For": ["203.0.113.7"],
        "X-Forwarded-Port": ["3000"],
        "X-Forwarded-Proto": ["http"],
    }
    assert context["authorizer"] == {"user_id": "7", "principalId": "7", "integrationLatency": 3}
    assert context["identity"]["sourceIp"] == "203.0.113.7"
    assert context["identity"]["userAgent"] == "curl/8"
    assert context["path"] == "/things/7/"  # as with a custom domain name
    assert context["resourcePath"] == "/things/{id}"
    assert context["requestId"] == sent.request_id
    assert context["domainName"] == "localhost:3000"
    assert context["stage"] == "local"
    assert isinstance(context["requestTimeEpoch"], int)


@pytest.mark.parametrize(
    ("host", "domain", "prefix"),
    [
        ("localhost:3000", "localhost:3000", "localhost"),
        ("api.example.com", "api.example.com", "api"),
        ("[::1]:3000", "[::1]:3000", "["),
        ("", "localhost", "localhost"),
        ('a.example>; rel="next", <https://evil.example', "localhost", "localhost"),
    ],
)
def test_a_malformed_host_is_no_domain_name(host: str, domain: str, prefix: str) -> None:
    context = event(request(headers=[("Host", host)]))["requestContext"]
    assert (context["domainName"], context["domainPrefix"]) == (domain, prefix)


def test_the_context_has_the_fields_of_a_rest_api() -> None:
    context = event(request())["requestContext"]
    assert set(context) == {
        *("accountId", "apiId", "domainName", "domainPrefix", "extendedRequestId", "httpMethod", "identity"),
        *(
            "path",
            "protocol",
            "requestId",
            "requestTime",
            "requestTimeEpoch",
            "resourceId",
            "resourcePath",
            "stage",
        ),
    }


def test_absent_values_are_null() -> None:
    built = event(request())
    absent = [
        "body",
        "pathParameters",
        "queryStringParameters",
        "multiValueQueryStringParameters",
        "stageVariables",
    ]
    assert [built[name] for name in absent] == [None] * len(absent)


def test_the_path_stays_encoded() -> None:
    assert event(request("/things/%C3%A9%2F"))["path"] == "/things/%C3%A9%2F"


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("a=", {"a": [""]}),
        ("a", {"a": [""]}),
        ("a=1;b=2", {"a": ["1"], "b": ["2"]}),
        ("a=1+2%2B3", {"a": ["1 2+3"]}),
        ("a=%zz&b=%ff", {"a": ["%zz"], "b": ["\ufffd"]}),
        ("&&=&", {"": [""]}),
    ],
)
def test_queries(query: str, parameters: dict[str, list[str]]) -> None:
    assert event(request(query=query))["multiValueQueryStringParameters"] == parameters


@pytest.mark.parametrize(
    ("body", "text"),
    [("é\0".encode(), "é\0"), (b"\xff\xfe", "\ufffd\ufffd"), (b"\xed\xa0\x80", "\ufffd" * 3)],
)
def test_a_body_is_text(body: bytes, text: str) -> None:
    built = event(request(), body)
    assert built["body"] == text
    assert built["isBase64Encoded"] is False
    assert json.loads(json.dumps(built)) == built


@pytest.mark.parametrize(
    ("media_type", "binary", "is_binary"),
    [
        ("multipart/form-data; boundary=edge", {"multipart/form-data"}, True),
        ("Multipart/Form-Data", {"multipart/form-data"}, True),
        ("multipart/mixed", {"multipart/form-data"}, False),
        ("application/json", {"*/*"}, True),
        ("application/json", set(), False),
    ],
)
def test_a_body_of_a_binary_type_is_base64(media_type: str, binary: set[str], is_binary: bool) -> None:  # noqa: FBT001  # an expectation
    body = b"\xff" if is_binary else "ж".encode()
    built = event(request(headers=[("Content-Type", media_type)]), body, binary=frozenset(binary))
    assert (built["body"], built["isBase64Encoded"]) == (("/w==", True) if is_binary else ("ж", False))


def test_an_empty_body_is_not_encoded() -> None:
    built = event(request(headers=[("Content-Type", "multipart/form-data")]))
    assert (built["body"], built["isBase64Encoded"]) == (None, False)


def test_forwarding_headers_are_extended_and_a_trace_continues() -> None:
    sent = request(headers=[("X-Forwarded-For", "198.51.100.1"), ("X-Amzn-Trace-Id", "Root=1-2-3")])
    headers = event(sent)["multiValueHeaders"]
    assert headers["X-Forwarded-For"] == ["198.51.100.1, 203.0.113.7"]
    assert headers["X-Amzn-Trace-Id"] == ["Root=1-2-3"]


def test_the_event_of_an_authorizer() -> None:
    arn = method_arn("local", request("/things/7/", method="PUT"))
    assert arn == "arn:aws:execute-api:us-east-1:123456789012:local/local/PUT/things/7/"
    assert token_event("Bearer x", arn) == {
        "type": "TOKEN",
        "authorizationToken": "Bearer x",
        "methodArn": arn,
    }


def test_the_last_value_of_a_repeated_header_wins() -> None:
    sent = request(headers=[("authorization", "first"), ("AUTHORIZATION", "last")])
    assert sent.header("Authorization") == "last"
    assert sent.header("Absent") == ""
