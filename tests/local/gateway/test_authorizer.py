"""Which requests an authorizer allows, and how the gateway caches its policies."""

import asyncio
import json
from collections.abc import Mapping

import pytest

from local.gateway import authorizer as module
from local.gateway.api import Authorizer
from local.gateway.authorizer import TokenAuthorizer
from local.gateway.responses import GatewayError
from local.runtime.environment import FunctionError

ARN = "arn:aws:execute-api:us-east-1:123456789012:local/local/GET/things"


def result(effect: str = "Allow", resource: str = "*", **more: object) -> dict[str, object]:
    statement = {"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource}
    return {"principalId": "7", "policyDocument": {"Statement": [statement]}, **more}


class Function:
    """A function of an authorizer that returns or raises one result and records its events."""

    def __init__(self, result: object) -> None:
        self.result = result
        self.events: list[Mapping[str, str]] = []

    async def __call__(self, name: str, event: Mapping[str, str]) -> bytes:
        assert name == "Gatekeeper"
        self.events.append(event)
        if isinstance(self.result, Exception):
            raise self.result
        return json.dumps(self.result).encode()


def authorizer_with(function: Function, ttl: float = 60, pattern: str = "") -> TokenAuthorizer:
    return TokenAuthorizer(Authorizer("Gatekeeper", "Authorization", pattern, ttl), function)


def authorize(authorizer: TokenAuthorizer, token: str = "token", arn: str = ARN) -> Mapping[str, object]:
    return asyncio.run(authorizer.authorize(token, arn))


def error_kind(authorizer: TokenAuthorizer, token: str = "token", arn: str = ARN) -> str:
    with pytest.raises(GatewayError) as caught:
        authorize(authorizer, token, arn)
    return caught.value.kind


def test_the_function_gets_the_token_and_the_method() -> None:
    function = Function(result())
    authorize(authorizer_with(function), "Bearer x")
    assert function.events == [{"type": "TOKEN", "authorizationToken": "Bearer x", "methodArn": ARN}]


def test_the_context_becomes_text() -> None:
    function = Function(result(context={"user_id": 7, "name": "Ann", "admin": True, "rate": 0.5}))
    context = dict(authorize(authorizer_with(function)))
    assert isinstance(context.pop("integrationLatency"), int)
    assert context == {"user_id": "7", "name": "Ann", "admin": "true", "rate": "0.5", "principalId": "7"}


def test_an_empty_token_is_rejected_without_an_invocation() -> None:
    function = Function(result())
    assert error_kind(authorizer_with(function), "") == "UNAUTHORIZED"
    assert not function.events


def test_a_token_that_does_not_match_the_pattern_is_rejected_without_an_invocation() -> None:
    function = Function(result())
    assert error_kind(authorizer_with(function, pattern="Bearer .+"), "Basic x") == "UNAUTHORIZED"
    assert not function.events
    authorize(authorizer_with(function, pattern="Bearer .+"), "Bearer x")


def test_a_policy_that_denies() -> None:
    assert error_kind(authorizer_with(Function(result("Deny")))) == "ACCESS_DENIED"


def test_a_policy_is_evaluated_for_each_method_and_cached() -> None:
    function = Function(result(resource="*/GET/*"))
    authorizer = authorizer_with(function)
    authorize(authorizer)
    assert error_kind(authorizer, arn=ARN.replace("GET", "POST")) == "ACCESS_DENIED"
    authorize(authorizer)
    assert len(function.events) == 1


def test_each_token_has_its_policy() -> None:
    function = Function(result())
    authorizer = authorizer_with(function)
    authorize(authorizer, "one")
    function.result = result("Deny")
    assert error_kind(authorizer, "two") == "ACCESS_DENIED"
    authorize(authorizer, "one")


def test_a_cached_policy_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    function = Function(result())
    authorizer = authorizer_with(function, ttl=60)
    authorize(authorizer)
    now = 1059.9
    authorize(authorizer)
    assert len(function.events) == 1
    now = 1060.0
    authorize(authorizer)
    assert len(function.events) == 2


def test_nothing_is_cached_without_a_ttl() -> None:
    function = Function(result())
    authorizer = authorizer_with(function, ttl=0)
    authorize(authorizer)
    authorize(authorizer)
    assert len(function.events) == 2


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_POLICIES", 2)
    function = Function(result())
    authorizer = authorizer_with(function)
    for token in ("one", "two", "three", "three", "two", "one"):
        authorize(authorizer, token)
    tokens = [event["authorizationToken"] for event in function.events]
    assert tokens == ["one", "two", "three", "one"]


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        ("Unauthorized", "UNAUTHORIZED"),
        ("unauthorized", "AUTHORIZER_CONFIGURATION_ERROR"),
        ("", "AUTHORIZER_CONFIGURATION_ERROR"),
    ],
)
def test_an_authorizer_that_raises(raised: str, kind: str) -> None:
    function = Function(FunctionError(raised))
    authorizer = authorizer_with(function)
    assert error_kind(authorizer) == kind
    assert error_kind(authorizer) == kind
    assert len(function.events) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "Allow",
        {"policyDocument": result()["policyDocument"]},
        {"principalId": "7"},
        result() | {"principalId": 7},
        result("Perhaps"),
        result(context=["a"]),
        result(context={"nested": {"a": 1}}),
    ],
)
def test_a_malformed_result(wrong: object) -> None:
    assert error_kind(authorizer_with(Function(wrong))) == "AUTHORIZER_CONFIGURATION_ERROR"
