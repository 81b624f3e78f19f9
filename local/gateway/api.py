"""The REST API that a SAM template declares, in the terms of API Gateway."""

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
    """A regular expression. The function is invoked only if it matches the whole token, or if it is empty."""
    ttl: float
    """Seconds for which the policy of a token is cached; 0 turns the cache off."""


@dataclass(frozen=True)
class MockIntegration:
    """A fixed response without a function, such as that to a CORS preflight request."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Route:
    """One method of one resource, with its authorizer and its integration."""

    method: str
    resource: str
    integration: MockIntegration | str
    """A mock integration, or the logical id of a function."""
    authorizer: str | None


@dataclass(frozen=True)
class GatewayResponse:
    """How the API overrides a response that the gateway itself generates; `templates` are by media type."""

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
    """Bodies of these media types reach functions as base64; `*/*` stands for every media type."""
    minimum_compression_size: int | None
    """Size of a body in bytes from which the gateway compresses it; None turns compression off."""

    @property
    def called_functions(self) -> frozenset[str]:
        """The names of the functions that requests can invoke."""
        integrations = {route.integration for route in self.routes if isinstance(route.integration, str)}
        return frozenset(integrations | {authorizer.function for authorizer in self.authorizers.values()})
