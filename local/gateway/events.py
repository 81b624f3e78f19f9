"""The events with which API Gateway invokes the functions of a REST API."""

import re
import time
import uuid
from base64 import b64encode
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl

from local.gateway.api import API_ID
from local.gateway.routes import Match
from local.runtime.function import ACCOUNT, REGION

# A name or an address, and perhaps a port.
_HOST = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]+)?", re.ASCII)


@dataclass(frozen=True)
class Request:
    """An HTTP request without its body, and the ids that the gateway adds."""

    method: str
    path: str
    """Percent-encoded, as the client sent it."""
    query: str
    headers: tuple[tuple[str, str], ...]
    """Names are in title case, as in `User-Agent`."""
    source_ip: str
    server_port: int
    request_id: str
    trace_id: str

    @classmethod
    def from_scope(cls, scope: Mapping[str, Any]) -> Self:
        """Return the request of an ASGI connection scope, whose header names are in lower case."""
        headers = tuple(
            (name.decode("latin-1").title(), value.decode("latin-1")) for name, value in scope["headers"]
        )
        trace_ids = [value for name, value in headers if name == "X-Amzn-Trace-Id"]
        return cls(
            method=scope["method"],
            path=scope["raw_path"].decode("ascii"),
            query=scope["query_string"].decode("ascii"),
            headers=headers,
            source_ip=(scope["client"] or ("127.0.0.1",))[0],
            server_port=(scope["server"] or ("", 80))[1],
            request_id=str(uuid.uuid4()),
            trace_id=trace_ids[-1] if trace_ids else f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}",
        )

    def header(self, name: str) -> str:
        """Return the value of a header: the last if there are several, an empty string if there is none."""
        return next((value for key, value in reversed(self.headers) if key == name), "")


def method_arn(stage: str, request: Request) -> str:
    """Return the ARN of a request's method and path, as policies name it."""
    path = request.path.removeprefix("/")
    return f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{API_ID}/{stage}/{request.method}/{path}"


def token_event(token: str, arn: str) -> dict[str, str]:
    """Return the event of a Lambda authorizer of type TOKEN."""
    return {"type": "TOKEN", "authorizationToken": token, "methodArn": arn}


def proxy_event(
    stage: str,
    request: Request,
    body: bytes,
    match: Match,
    authorizer: Mapping[str, Any] | None,
    binary_media_types: Set[str] = frozenset(),
) -> dict[str, Any]:
    """Return the event of a Lambda proxy integration; `authorizer` is the authorizer's context, if any."""
    # The media type without its parameters, such as the boundary of a form.
    media_type = request.header("Content-Type").partition(";")[0].strip().lower()
    is_binary = bool(body) and not binary_media_types.isdisjoint({media_type, "*/*"})
    headers = _multiple(_with_forwarding_headers(request))
    # REST APIs also treat a semicolon as a separator:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
    query = _multiple(parse_qsl(request.query.replace(";", "&"), keep_blank_values=True, errors="replace"))
    return {
        "resource": match.route.resource,
        "path": request.path,
        "httpMethod": request.method,
        "headers": _last(headers),
        "multiValueHeaders": headers,
        "queryStringParameters": _last(query) or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": dict(match.parameters) or None,
        "stageVariables": None,
        "requestContext": _context(stage, request, match.route.resource, authorizer),
        # A body of another media type is text, in which API Gateway replaces bytes that are not UTF-8.
        "body": b64encode(body).decode() if is_binary else body.decode(errors="replace") or None,
        "isBase64Encoded": is_binary,
    }


def _context(
    stage: str, request: Request, resource: str, authorizer: Mapping[str, Any] | None
) -> dict[str, Any]:
    now = time.time()
    # API Gateway responds only to its own domain names, without a port. This one has many names and a port.
    host = request.header("Host")
    domain = host if _HOST.fullmatch(host) else "localhost"
    context: dict[str, Any] = {
        "accountId": ACCOUNT,
        "apiId": API_ID,
        "domainName": domain,
        "domainPrefix": domain.partition(":")[0].partition(".")[0],
        "extendedRequestId": request.request_id,
        "httpMethod": request.method,
        "identity": {
            "accessKey": None,
            "accountId": None,
            "caller": None,
            "cognitoAuthenticationProvider": None,
            "cognitoAuthenticationType": None,
            "cognitoIdentityId": None,
            "cognitoIdentityPoolId": None,
            "principalOrgId": None,
            "sourceIp": request.source_ip,
            "user": None,
            "userAgent": request.header("User-Agent") or None,
            "userArn": None,
        },
        # The path has no stage in front, as with a custom domain name.
        "path": request.path,
        "protocol": "HTTP/1.1",
        "requestId": request.request_id,
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "requestTimeEpoch": int(now * 1000),
        "resourceId": "local",
        "resourcePath": resource,
        "stage": stage,
    }
    if authorizer is not None:
        context["authorizer"] = dict(authorizer)
    return context


def _with_forwarding_headers(request: Request) -> list[tuple[str, str]]:
    hops = [value for name, value in request.headers if name == "X-Forwarded-For"]
    added = {
        "X-Amzn-Trace-Id": request.trace_id,
        "X-Forwarded-For": ", ".join([*hops, request.source_ip]),
        "X-Forwarded-Port": str(request.server_port),
        "X-Forwarded-Proto": "http",
    }
    return [header for header in request.headers if header[0] not in added] + list(added.items())


def _multiple(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def _last(values: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: items[-1] for name, items in values.items()}
