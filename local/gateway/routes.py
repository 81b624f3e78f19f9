"""Routes requests as a REST API does."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote

from local.gateway.api import Route


class Match(NamedTuple):
    """A route and the values of the parameters in its path."""

    route: Route
    parameters: Mapping[str, str]


@dataclass
class _Resource:
    """A node of the tree of declared paths; each node is one segment."""

    methods: dict[str, Route] = field(default_factory=dict)
    children: dict[str, "_Resource"] = field(default_factory=dict)
    parameter: tuple[str, "_Resource"] | None = None
    greedy: tuple[str, "_Resource"] | None = None


class Router:
    """Matches paths by segment. Precedence: a literal segment, a `{parameter}`, a `{greedy+}` parameter."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Resource()
        for route in routes:
            resource = self._root
            for segment in _segments(route.resource):
                resource = _child(resource, segment)
            resource.methods[route.method] = route

    def match(self, method: str, path: str) -> Match | None:
        """Return the route of a method and a percent-encoded path; ignores one trailing slash."""
        values: dict[str, str] = {}
        resource = self._root
        segments = _segments(path)
        for position, segment in enumerate(segments):
            value = unquote(segment, errors="replace")
            if value in resource.children:
                resource = resource.children[value]
            elif resource.parameter and value:
                name, resource = resource.parameter
                values[name] = value
            # Unlike a parameter, a greedy parameter may start with an empty segment.
            elif resource.greedy:
                name, resource = resource.greedy
                values[name] = unquote("/".join(segments[position:]), errors="replace")
                break
            else:
                return None
        route = resource.methods.get(method) or resource.methods.get("ANY")
        return Match(route, values) if route else None


def _segments(path: str) -> list[str]:
    return [] if path == "/" else path.removeprefix("/").removesuffix("/").split("/")


def _child(resource: _Resource, segment: str) -> _Resource:
    """Return the child of a node for a declared segment; adds it if it is missing."""
    name = segment[1:-1]
    if not (segment.startswith("{") and segment.endswith("}")):
        return resource.children.setdefault(segment, _Resource())
    if name.endswith("+"):
        resource.greedy = resource.greedy or (name[:-1], _Resource())
        return resource.greedy[1]
    resource.parameter = resource.parameter or (name, _Resource())
    return resource.parameter[1]
