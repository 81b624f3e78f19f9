"""Responses: a function's, in the form of the proxy integration, and the gateway's own."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.gateway.api import GatewayResponse

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
# The gateway frames the message itself.
_CONNECTION_HEADERS = frozenset(
    {"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"}
)
_FINAL_STATUSES = range(200, 600)

_HEADER_FIELDS = ("headers", "multiValueHeaders")

# Status, error type and message of the gateway's own answers, unless the API overrides them.
_DEFAULTS = {
    "ACCESS_DENIED": (403, "AccessDeniedException", "User is not authorized to access this resource"),
    "AUTHORIZER_CONFIGURATION_ERROR": (500, "AuthorizerConfigurationException", "Internal server error"),
    "DEFAULT_5XX": (502, "InternalServerErrorException", "Internal server error"),
    "INTEGRATION_TIMEOUT": (504, "InternalServerErrorException", "Endpoint request timed out"),
    "MISSING_AUTHENTICATION_TOKEN": (
        403,
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    ),
    "REQUEST_TOO_LARGE": (413, "RequestTooLargeException", "Request Too Long"),
    "THROTTLED": (429, "TooManyRequestsException", "Too Many Requests"),
    "UNAUTHORIZED": (401, "UnauthorizedException", "Unauthorized"),
}
_DEFAULT_TEMPLATE = '{"message":$context.error.messageString}'


class GatewayError(Exception):
    """The gateway answers by itself; `kind` is the gateway response that it gives."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class MalformedResponseError(Exception):
    """What a function answered is not a response of the proxy integration."""


@dataclass(frozen=True)
class Response:
    """What goes to the client."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def gateway_response(overrides: Mapping[str, GatewayResponse], kind: str) -> Response:
    """Return the gateway's own answer of that kind, as the API overrides it."""
    status, error_type, message = _DEFAULTS[kind]
    default = overrides.get("DEFAULT_4XX" if status < 500 else "DEFAULT_5XX")  # noqa: PLR2004 - HTTP's classes
    override = overrides.get(kind) or default or GatewayResponse(None, {}, {})
    template = override.templates.get("application/json", _DEFAULT_TEMPLATE)
    body = template.replace("$context.error.messageString", json.dumps(message))
    body = body.replace("$context.error.message", message)
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": error_type} | dict(override.headers)
    return Response(override.status or status, tuple(headers.items()), body.encode())


def proxy_response(payload: bytes) -> Response:
    """Return the response that a function answered, as JSON text, for the proxy integration.

    Raises `MalformedResponseError`.
    """
    answer = json.loads(payload)
    if not isinstance(answer, dict):
        raise MalformedResponseError(f"it is not an object but {type(answer).__name__}")
    status = answer.get("statusCode")
    if not isinstance(status, int | str) or not str(status).isdecimal() or int(status) not in _FINAL_STATUSES:
        raise MalformedResponseError(f"its statusCode is {status!r}")
    headers = _headers(answer)
    if all(name.lower() != "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return Response(int(status), tuple(headers), _body(answer))


def _headers(answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    # Both may be absent or null.
    single, multiple = ({} if (value := answer.get(key)) is None else value for key in _HEADER_FIELDS)
    if not isinstance(single, dict) or not isinstance(multiple, dict):
        raise MalformedResponseError("its headers are not an object")
    # A header in both comes once, with the value or values of multiValueHeaders.
    several = {name.lower() for name in multiple}
    values = {name: [value] for name, value in single.items() if name.lower() not in several} | multiple
    headers = []
    for name, items in values.items():
        if not _HEADER_NAME.fullmatch(name) or not isinstance(items, list):
            raise MalformedResponseError(f"its header {name!r} is not one")
        if name.lower() not in _CONNECTION_HEADERS:
            headers += [(name, _header_value(name, item)) for item in items]
    return headers


def _header_value(name: str, item: object) -> str:
    value = item if isinstance(item, str) else json.dumps(item)
    if isinstance(item, dict | list) or not _HEADER_VALUE.fullmatch(value):
        raise MalformedResponseError(f"its header {name} has an impossible value")
    return value.strip()


def _body(answer: Mapping[str, Any]) -> bytes:
    body = answer.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise MalformedResponseError(f"its body is not a string but {type(body).__name__}")
    if not answer.get("isBase64Encoded"):
        return body.encode(errors="replace")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedResponseError("its body is not base64") from None
