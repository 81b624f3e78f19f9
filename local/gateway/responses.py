"""The responses of a REST API: those of functions (Lambda proxy integration) and gateway responses."""

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
# The gateway sets these headers itself, because they describe its connection to the client.
_CONNECTION_HEADERS = frozenset(
    {"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"}
)
_FINAL_STATUSES = range(200, 600)
_HEADER_FIELDS = ("headers", "multiValueHeaders")

# The default status, error type and message of each type of gateway response.
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
    "UNSUPPORTED_MEDIA_TYPE": (415, "UnsupportedMediaTypeException", "Unsupported Media Type"),
    "UNAUTHORIZED": (401, "UnauthorizedException", "Unauthorized"),
}
_DEFAULT_TEMPLATE = '{"message":$context.error.messageString}'


class GatewayError(Exception):
    """The request ends with a gateway response; `kind` is its type, such as ACCESS_DENIED."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class MalformedResponseError(Exception):
    """The result of a function is not in the format of the Lambda proxy integration."""


@dataclass(frozen=True)
class Response:
    """An HTTP response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def gateway_response(overrides: Mapping[str, GatewayResponse], kind: str) -> Response:
    """Return the gateway response of that type, with the overrides of the API."""
    status, error_type, message = _DEFAULTS[kind]
    default = overrides.get("DEFAULT_4XX" if status < 500 else "DEFAULT_5XX")  # noqa: PLR2004 - HTTP's classes
    override = overrides.get(kind) or default or GatewayResponse(None, {}, {})
    template = override.templates.get("application/json", _DEFAULT_TEMPLATE)
    body = template.replace("$context.error.messageString", json.dumps(message))
    body = body.replace("$context.error.message", message)
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": error_type} | dict(override.headers)
    return Response(override.status or status, tuple(headers.items()), body.encode())


def proxy_response(payload: bytes) -> Response:
    """Return the response in the result of a function, which is JSON text.

    Raises `MalformedResponseError`.
    """
    result = json.loads(payload)
    if not isinstance(result, dict):
        raise MalformedResponseError(f"it is not an object but {type(result).__name__}")
    status = result.get("statusCode")
    if not isinstance(status, int | str) or not str(status).isdecimal() or int(status) not in _FINAL_STATUSES:
        raise MalformedResponseError(f"its statusCode is {status!r}")
    headers = _headers(result)
    if all(name.lower() != "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return Response(int(status), tuple(headers), _body(result))


def _headers(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    # Both may be absent or null.
    single, multiple = ({} if (value := result.get(key)) is None else value for key in _HEADER_FIELDS)
    if not isinstance(single, dict) or not isinstance(multiple, dict):
        raise MalformedResponseError("its headers are not an object")
    # A header in both is sent once, with the values of multiValueHeaders.
    names = {name.lower() for name in multiple}
    values = {name: [value] for name, value in single.items() if name.lower() not in names} | multiple
    headers = []
    for name, items in values.items():
        if not _HEADER_NAME.fullmatch(name) or not isinstance(items, list):
            raise MalformedResponseError(f"its header {name!r} has an invalid name or no list of values")
        if name.lower() not in _CONNECTION_HEADERS:
            headers += [(name, _header_value(name, item)) for item in items]
    return headers


def _header_value(name: str, item: object) -> str:
    value = item if isinstance(item, str) else json.dumps(item)
    if isinstance(item, dict | list) or not _HEADER_VALUE.fullmatch(value):
        raise MalformedResponseError(f"its header {name} has an invalid value")
    return value.strip()


def _body(result: Mapping[str, Any]) -> bytes:
    body = result.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise MalformedResponseError(f"its body is not a string but {type(body).__name__}")
    if not result.get("isBase64Encoded"):
        return body.encode(errors="replace")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedResponseError("its body is not base64") from None
