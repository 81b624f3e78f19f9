"""The REST API that a SAM template declares, as the gateway reads it."""

from collections.abc import Mapping
from dataclasses import dataclass

from local.runtime.function import Function

API_ID = "local"


@dataclass(frozen=True)
class Authorizer:
    """A Lambda authorizer of type TOKEN."""

    function: str
    header: str
    pattern: str
    """What the whole token must match to be worth a call; empty for anything."""
    ttl: float
    """Seconds for which a policy is reused for the same token; 0 for never."""


@dataclass(frozen=True)
class MockIntegration:
    """An answer that the gateway gives by itself, as to a CORS preflight."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Route:
    """One method of one resource: who may call it and what answers."""

    method: str
    resource: str
    integration: MockIntegration | str
    """A mock, or the logical id of a function."""
    authorizer: str | None


@dataclass(frozen=True)
class GatewayResponse:
    """How the API overrides an answer that the gateway gives in a function's place."""

    status: int | None
    headers: Mapping[str, str]
    templates: Mapping[str, str]


@dataclass(frozen=True)
class Api:
    """A stage of a REST API and the functions behind it."""

    stage: str
    routes: tuple[Route, ...]
    functions: Mapping[str, Function]
    authorizers: Mapping[str, Authorizer]
    gateway_responses: Mapping[str, GatewayResponse]
    binary_media_types: frozenset[str]
    """Of bodies that functions get as base64; `*/*` for every one."""
