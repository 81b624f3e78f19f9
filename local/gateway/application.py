"""A REST API of API Gateway as an ASGI application: authorizer, integration and gateway responses."""

import asyncio
import json
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.gateway.api import Api, MockIntegration
from local.gateway.authorizer import TokenAuthorizer
from local.gateway.compression import compress, decompress
from local.gateway.console import log_access, write_line
from local.gateway.errors import TemplateError
from local.gateway.events import Request, method_arn, proxy_event
from local.gateway.responses import (
    GatewayError,
    MalformedResponseError,
    Response,
    gateway_response,
    proxy_response,
)
from local.gateway.routes import Match, Router
from local.gateway.sources import Sources
from local.gateway.template import load_api
from local.runtime.environment import FunctionError, FunctionTimeoutError, Invocation
from local.runtime.functions import Functions
from local.runtime.pool import ThrottledError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Limits of API Gateway for a body and of Lambda for an event or a result.
_MAX_BODY_BYTES = 10 * 1024 * 1024
_MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
_BODILESS_STATUSES = frozenset({204, 304})


class _DisconnectedError(Exception):
    """The client closed the connection before it sent the whole request."""


@dataclass
class _AccessLogEntry:
    """What the access log says about a request besides the request itself."""

    source: str = "gateway"
    """The origin of the response: the gateway, or the function and whether it was a cold start."""


def _no_page(_path: str) -> None:
    return None


class Gateway:
    """Serves the API that a SAM template declares. Each request uses the newest template and code.

    `parameters` are values for parameters of the template, `variables` for environment variables that its
    functions declare. `dependencies` is the directory with the packages that its layers install. With
    `debug`, functions can use the terminal (see `Functions`). Raises `TemplateError` when the template cannot
    be read.

    `page` returns the HTML page at a path that is not part of the API, or None.
    """

    def __init__(
        self,
        template: Path,
        parameters: Mapping[str, str],
        variables: Mapping[str, str],
        dependencies: Path,
        *,
        page: Callable[[str], str | None] = _no_page,
        debug: bool = False,
    ) -> None:
        self._template = template
        self._page = page
        self._parameters = parameters
        self._functions = Functions(variables, dependencies, debug=debug)
        self._refreshing = asyncio.Lock()
        self._watched: list[Path] = []
        api = load_api(template, parameters)
        self._deploy(api, api.functions.keys())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one HTTP request."""
        start = time.perf_counter()
        request = Request.from_scope(scope)
        entry = _AccessLogEntry()
        try:
            response = await self._respond(request, receive, entry)
        except _DisconnectedError:
            return
        except Exception:
            # An error of the gateway itself: the developer gets the traceback, the client only the status.
            traceback.print_exc()
            response = gateway_response(self._api.gateway_responses, "DEFAULT_5XX")
        await _send(response, request.request_id, send)
        log_access(request.method, request.path, response.status, time.perf_counter() - start, entry.source)

    async def end_idle(self) -> None:
        """End idle execution environments every minute, until cancelled."""
        await self._functions.end_idle()

    async def close(self) -> None:
        """End every execution environment; returns when none is left."""
        await self._functions.kill()

    def _deploy(self, api: Api, restarted: Set[str]) -> None:
        """Use the API from now on, with new environments for some functions and without cached policies."""
        self._api = api
        self._router = Router(api.routes)
        self._functions.deploy(api.functions, restarted)
        self._authorizers = {
            name: TokenAuthorizer(authorizer, self._invoke_authorizer)
            for name, authorizer in api.authorizers.items()
        }
        paths = sorted({path for function in api.functions.values() for path in function.sources})
        if paths != self._watched:
            self._watched = paths
            self._sources = Sources(paths, [self._template])

    async def _refresh(self) -> None:
        """Deploy what was edited since the last request."""
        async with self._refreshing:
            changed = self._sources.changes()
            if not changed:
                return
            api = self._api
            if str(self._template) in changed:
                try:
                    api = await asyncio.to_thread(load_api, self._template, self._parameters)
                    write_line(f"reloaded {self._template.name}")
                except TemplateError as error:
                    write_line(f"still serving the previous template: {error}")
            restarted = {
                name
                for name, function in api.functions.items()
                if function != self._api.functions.get(name) or function.has_source(changed)
            }
            self._deploy(api, restarted)
            if called := restarted & api.called_functions:
                write_line(f"reloaded {', '.join(sorted(called))}")

    async def _respond(self, request: Request, receive: Receive, entry: _AccessLogEntry) -> Response:
        """Return the response of the route's integration, or a gateway response if it has none."""
        try:
            return await self._dispatch(request, receive, entry)
        except GatewayError as error:
            if error.__cause__:
                write_line(f"{error.kind}: {error.__cause__}")
            kind = error.kind
        except ThrottledError:
            kind = "THROTTLED"
        except FunctionTimeoutError as error:
            write_line(f"{entry.source}: {error}")
            kind = "INTEGRATION_TIMEOUT"
        except (FunctionError, MalformedResponseError) as error:
            write_line(f"{entry.source}: {error}")
            kind = "DEFAULT_5XX"
        return gateway_response(self._api.gateway_responses, kind)

    async def _dispatch(self, request: Request, receive: Receive, entry: _AccessLogEntry) -> Response:
        await self._refresh()
        match = self._router.match(request.method, request.path)
        if match is None:
            if request.method == "GET" and (page := await asyncio.to_thread(self._page, request.path)):
                return Response(200, (("Content-Type", "text/html; charset=utf-8"),), page.encode())
            entry.source = f"gateway: {self._template.name} has no route for it"
            raise GatewayError("MISSING_AUTHENTICATION_TOKEN")
        response = await self._integrate(match, request, receive, entry)
        return await asyncio.to_thread(
            compress, response, request.header("Accept-Encoding"), self._api.minimum_compression_size
        )

    async def _integrate(
        self, match: Match, request: Request, receive: Receive, entry: _AccessLogEntry
    ) -> Response:
        """Return the response of the route's integration, after authorization."""
        integration = match.route.integration
        if isinstance(integration, MockIntegration):
            headers = {"Content-Type": "application/json"} | dict(integration.headers)
            return Response(integration.status, tuple(headers.items()), integration.body.encode())
        context = await self._authorize(request, match)
        sent = await _read_body(request, receive)
        body = decompress(sent, request.header("Content-Encoding"), _MAX_BODY_BYTES)
        event = _json(
            proxy_event(self._api.stage, request, body, match, context, self._api.binary_media_types)
        )
        if len(event) > _MAX_PAYLOAD_BYTES:
            raise GatewayError("REQUEST_TOO_LARGE")
        return await self._invoke(integration, request, event, entry)

    async def _authorize(self, request: Request, match: Match) -> Mapping[str, Any] | None:
        if match.route.authorizer is None:
            return None
        authorizer = self._authorizers[match.route.authorizer]
        return await authorizer.authorize(
            request.header(authorizer.header), method_arn(self._api.stage, request)
        )

    async def _invoke(
        self, function: str, request: Request, event: bytes, entry: _AccessLogEntry
    ) -> Response:
        entry.source = function
        result = await self._functions.invoke(
            function, Invocation(request.request_id, request.trace_id, event)
        )
        entry.source = f"{function} {'cold' if result.cold else 'warm'}"
        if len(result.payload) > _MAX_PAYLOAD_BYTES:
            raise MalformedResponseError(f"a response of {len(result.payload)} bytes is too large")
        return proxy_response(result.payload)

    async def _invoke_authorizer(self, function: str, event: Mapping[str, str]) -> bytes:
        result = await self._functions.invoke(function, Invocation(str(uuid.uuid4()), "", _json(event)))
        return result.payload


def _json(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


async def _read_body(request: Request, receive: Receive) -> bytes:
    """Return the whole body; keep at most the limit and one more chunk in memory."""
    declared = request.header("Content-Length")
    if declared.isdecimal() and int(declared) > _MAX_BODY_BYTES:
        raise GatewayError("REQUEST_TOO_LARGE")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _DisconnectedError
        body += message.get("body", b"")
        if len(body) > _MAX_BODY_BYTES:
            raise GatewayError("REQUEST_TOO_LARGE")
        if not message.get("more_body"):
            return bytes(body)


async def _send(response: Response, request_id: str, send: Send) -> None:
    headers = [*response.headers, ("x-amzn-RequestId", request_id)]
    body = b"" if response.status in _BODILESS_STATUSES else response.body
    if response.status not in _BODILESS_STATUSES:
        headers.append(("Content-Length", str(len(body))))
    encoded = [(name.lower().encode("latin-1"), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": response.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
