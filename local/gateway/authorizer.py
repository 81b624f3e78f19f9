"""Invokes a Lambda authorizer and caches its policies."""

import json
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.gateway.api import Authorizer
from local.gateway.events import token_event
from local.gateway.policy import PolicyError, allows
from local.gateway.responses import GatewayError
from local.runtime.environment import FunctionError

_MAX_POLICIES = 10_000

Invoke = Callable[[str, Mapping[str, str]], Awaitable[bytes]]
"""Invokes a function by name with an event and returns its result as JSON text."""


@dataclass(frozen=True)
class _Authorization:
    """The result of an authorizer: a policy, the context for the integration, and the expiry (monotonic)."""

    policy: object
    context: Mapping[str, Any]
    expires: float


class TokenAuthorizer:
    """One authorizer of the API, with its cache of policies by token."""

    def __init__(self, authorizer: Authorizer, invoke: Invoke) -> None:
        self._authorizer = authorizer
        self._invoke = invoke
        self._cache: OrderedDict[str, _Authorization] = OrderedDict()

    @property
    def header(self) -> str:
        """The name of the header that carries the token, in title case as in `Request.headers`."""
        return self._authorizer.header.title()

    async def authorize(self, token: str, arn: str) -> Mapping[str, Any]:
        """Return the authorizer context for a request to the method `arn`.

        Raises `GatewayError` when there is no token, when the policy denies the method, or when the
        authorizer fails or returns anything other than a policy.
        """
        if not token or not re.fullmatch(self._authorizer.pattern or ".*", token, re.DOTALL):
            raise GatewayError("UNAUTHORIZED")
        authorization = self._cache.get(token)
        if authorization is None or authorization.expires <= time.monotonic():
            authorization = await self._invoke_authorizer(token, arn)
        try:
            allowed = allows(authorization.policy, arn)
        except PolicyError as error:
            raise GatewayError("AUTHORIZER_CONFIGURATION_ERROR") from error
        if not allowed:
            raise GatewayError("ACCESS_DENIED")
        return authorization.context

    async def _invoke_authorizer(self, token: str, arn: str) -> _Authorization:
        start = time.monotonic()
        try:
            result = json.loads(await self._invoke(self._authorizer.function, token_event(token, arn)))
        except FunctionError as error:
            # An authorizer rejects a token by raising exactly this message.
            refused = str(error) == "Unauthorized"
            raise GatewayError("UNAUTHORIZED" if refused else "AUTHORIZER_CONFIGURATION_ERROR") from error
        authorization = _parse(result, self._authorizer.ttl, start)
        self._cache[token] = authorization
        self._cache.move_to_end(token)
        if len(self._cache) > _MAX_POLICIES:
            self._cache.popitem(last=False)
        return authorization


def _parse(result: object, ttl: float, start: float) -> _Authorization:
    """Check an authorizer's result, and convert the values of its context to strings, as API Gateway does."""
    if not isinstance(result, dict):
        raise GatewayError("AUTHORIZER_CONFIGURATION_ERROR")
    principal, context = result.get("principalId"), result.get("context") or {}
    if not isinstance(principal, str) or not isinstance(context, dict):
        raise GatewayError("AUTHORIZER_CONFIGURATION_ERROR")
    if any(isinstance(value, dict | list) for value in context.values()):
        raise GatewayError("AUTHORIZER_CONFIGURATION_ERROR")
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in context.items()}
    now = time.monotonic()
    latency = {"principalId": principal, "integrationLatency": int((now - start) * 1000)}
    return _Authorization(result.get("policyDocument"), texts | latency, now + ttl)
