"""Invokes the functions like API Gateway does, with recorded events that a test can change."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support.database import principal_of

Event = dict[str, Any]

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "tests" / "events"


class TemplateLoader(yaml.CSafeLoader):
    """Reads a template quickly: intrinsic functions become None."""


TemplateLoader.add_multi_constructor("!", lambda loader, suffix, node: None)  # noqa: ARG005  # their signature


@cache
def handlers() -> dict[str, Callable[..., Any]]:
    """Return the handler that serves each resource, as template.yaml declares them."""
    template = yaml.load((ROOT / "template.yaml").read_text(), TemplateLoader)
    found = {}
    for resource in template["Resources"].values():
        for event in resource.get("Properties", {}).get("Events", {}).values():
            module, _, name = resource["Properties"]["Handler"].rpartition(".")
            found[event["Properties"]["Path"]] = getattr(import_module(module), name)
    return found


class Context:
    """The Lambda context object."""

    function_name = "social"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:social"
    memory_limit_in_mb = "1769"
    aws_request_id = "2f6c1f0e-7d0b-4c55-8f0e-6b7a2e5d9c10"
    log_group_name = "/aws/lambda/social"
    log_stream_name = "2026/11/22/[$LATEST]5e1c7a9b3d2f4a6081c3e5f7a9b3d2f4"

    def __init__(self, milliseconds: int = 10_000) -> None:
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the remaining time in milliseconds."""
        return self._milliseconds


class Response(NamedTuple):
    """The response of a function."""

    status: int
    headers: Mapping[str, list[str]]
    body: str

    def json(self) -> Any:  # noqa: ANN401  # any JSON value
        """Return the parsed body."""
        return json.loads(self.body)


def load_event(name: str) -> Event:
    """Return the recorded event with this name."""
    event: Event = json.loads((EVENTS / f"{name}.json").read_text())
    return event


def new_event(
    name: str,
    *,
    user: int | None = None,
    session: str | None = None,
    item: object = None,
    body: object = None,
    query: Sequence[tuple[str, str]] = (),
    headers: Mapping[str, str | None] | None = None,
) -> Event:
    """Return a recorded event with changes.

    Args:
        name: The name of the recorded event.
        user: The id of the user in the authorizer context.
        session: The id of the session in the authorizer context.
        item: The id in the path.
        body: The body; any value but a string is sent as JSON.
        query: The query parameters.
        headers: Headers to change; a header that is None is removed.

    """
    event = load_event(name)
    context = event["requestContext"]
    if user is not None:
        claims = {"user_id": str(user), "session_id": principal_of(user).session_id}
        context["authorizer"] |= {**claims, "principalId": str(user)}
    if session is not None:
        context["authorizer"] |= {"session_id": session}
    if item is not None:
        event["path"] = event["resource"].replace("{id}", str(item))
        event["pathParameters"] = {"id": str(item)}
        context["path"] = f"/{context['stage']}{event['path']}"
    if body is not None:
        event["body"] = body if isinstance(body, str) else json.dumps(body)
    if query:
        event["queryStringParameters"] = dict(query)
        event["multiValueQueryStringParameters"] = _grouped(query)
    changed = {**event["headers"], **(headers or {})}
    event["headers"] = {header: value for header, value in changed.items() if value is not None}
    event["multiValueHeaders"] = {header: [value] for header, value in event["headers"].items()}
    return event


def invoke(event: Event, context: Context | None = None) -> Response:
    """Invoke the function that serves the resource of an event."""
    handler = handlers()[event["resource"]]
    # Convert to JSON and back like Lambda does, so that only JSON values pass.
    response = json.loads(json.dumps(handler(json.loads(json.dumps(event)), context or Context())))
    assert response["isBase64Encoded"] is False
    return Response(response["statusCode"], response["multiValueHeaders"], response["body"])


def call(name: str, **changes: Any) -> Response:  # noqa: ANN401  # those of `new_event`
    """Invoke a function with a recorded event; the changes are the arguments of `new_event`."""
    return invoke(new_event(name, **changes))


def _grouped(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, value in pairs:
        groups.setdefault(name, []).append(value)
    return groups
