"""Asks a Lambda authorizer whether a request may pass, and remembers its policies."""

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

_MOST_POLICIES = 10_000

Call = Callable[[str, Mapping[str, str]], Awaitable[bytes]]
"""Calls a function by name with an event and returns the JSON text of its answer."""


@dataclass(frozen=True)
class _Grant:
    """An authorizer's answer: its policy, and the context that the integration gets."""

    policy: object
    context: Mapping[str, Any]
    expires: float


class TokenAuthorizer:
    """One authorizer of the API, with its cache of policies by token."""

    def __init__(self, authorizer: Authorizer, call: Call) -> None:
        self._authorizer = authorizer
        self._call = call
        self._grants: OrderedDict[str, _Grant] = OrderedDict()

    @property
    def header(self) -> str:
        """The name of the header that carries the token, in the usual case."""
        return self._authorizer.header.title()

    async def authorize(self, token: str, arn: str) -> Mapping[str, Any]:
        """Return the authorizer context for a request to the method `arn`.

        Raises `GatewayError` when there is no token, when the policy denies the method, or when the
        authorizer says or does anything else.
        """
        if not token or not re.fullmatch(self._authorizer.pattern or ".*", token, re.DOTALL):
            raise GatewayError("UNAUTHORIZED")
        grant = self._grants.get(token)
        if grant is None or grant.expires <= time.monotonic():
            grant = await self._ask(token, arn)
        try:
            allowed = allows(grant.policy, arn)
        except PolicyError as error:
            raise GatewayError("AUTHORIZER_CONFIGURATION_ERROR") from error
        if not allowed:
            raise GatewayError("ACCESS_DENIED")
        return grant.context

    async def _ask(self, token: str, arn: str) -> _Grant:
        start = time.monotonic()
        try:
            answer = json.loads(await self._call(self._authorizer.function, token_event(token, arn)))
        except FunctionError as error:
            # Raising exactly this is how an authorizer says that there is nobody to authorize.
            refused = str(error) == "Unauthorized"
            raise GatewayError("UNAUTHORIZED" if refused else "AUTHORIZER_CONFIGURATION_ERROR") from error
        grant = _grant(answer, self._authorizer.ttl, start)
        self._grants[token] = grant
        self._grants.move_to_end(token)
        if len(self._grants) > _MOST_POLICIES:
            self._grants.popitem(last=False)
        return grant


def _grant(answer: object, ttl: float, start: float) -> _Grant:
    """Read an authorizer's answer; its context reaches functions as strings only."""
    if not isinstance(answer, dict):
        raise GatewayError("AUTHORIZER_CONFIGURATION_ERROR")
    principal, context = answer.get("principalId"), answer.get("context") or {}
    if not isinstance(principal, str) or not isinstance(context, dict):
        raise GatewayError("AUTHORIZER_CONFIGURATION_ERROR")
    if any(isinstance(value, dict | list) for value in context.values()):
        raise GatewayError("AUTHORIZER_CONFIGURATION_ERROR")
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in context.items()}
    now = time.monotonic()
    latency = {"principalId": principal, "integrationLatency": int((now - start) * 1000)}
    return _Grant(answer.get("policyDocument"), texts | latency, now + ttl)
