"""What an authorizer lets pass, and what the gateway remembers of it."""

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


def answer(effect: str = "Allow", resource: str = "*", **more: object) -> dict[str, object]:
    statement = {"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource}
    return {"principalId": "7", "policyDocument": {"Statement": [statement]}, **more}


class Function:
    """An authorizer's function that gives one answer, or raises it, and keeps its events."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.events: list[Mapping[str, str]] = []

    async def __call__(self, name: str, event: Mapping[str, str]) -> bytes:
        assert name == "Gatekeeper"
        self.events.append(event)
        if isinstance(self.answer, Exception):
            raise self.answer
        return json.dumps(self.answer).encode()


def guard(function: Function, ttl: float = 60, pattern: str = "") -> TokenAuthorizer:
    return TokenAuthorizer(Authorizer("Gatekeeper", "Authorization", pattern, ttl), function)


def authorize(guard: TokenAuthorizer, token: str = "token", arn: str = ARN) -> Mapping[str, object]:
    return asyncio.run(guard.authorize(token, arn))


def refusal(guard: TokenAuthorizer, token: str = "token", arn: str = ARN) -> str:
    with pytest.raises(GatewayError) as caught:
        authorize(guard, token, arn)
    return caught.value.kind


def test_the_function_gets_the_token_and_the_method() -> None:
    function = Function(answer())
    authorize(guard(function), "Bearer x")
    assert function.events == [{"type": "TOKEN", "authorizationToken": "Bearer x", "methodArn": ARN}]


def test_the_context_becomes_text() -> None:
    function = Function(answer(context={"user_id": 7, "name": "Ann", "admin": True, "rate": 0.5}))
    context = dict(authorize(guard(function)))
    assert isinstance(context.pop("integrationLatency"), int)
    assert context == {"user_id": "7", "name": "Ann", "admin": "true", "rate": "0.5", "principalId": "7"}


def test_no_token_is_refused_without_a_call() -> None:
    function = Function(answer())
    assert refusal(guard(function), "") == "UNAUTHORIZED"
    assert not function.events


def test_a_token_of_another_form_is_refused_without_a_call() -> None:
    function = Function(answer())
    assert refusal(guard(function, pattern="Bearer .+"), "Basic x") == "UNAUTHORIZED"
    assert not function.events
    authorize(guard(function, pattern="Bearer .+"), "Bearer x")


def test_a_policy_that_denies() -> None:
    assert refusal(guard(Function(answer("Deny")))) == "ACCESS_DENIED"


def test_a_policy_is_evaluated_for_each_method_but_asked_for_once() -> None:
    function = Function(answer(resource="*/GET/*"))
    guarded = guard(function)
    authorize(guarded)
    assert refusal(guarded, arn=ARN.replace("GET", "POST")) == "ACCESS_DENIED"
    authorize(guarded)
    assert len(function.events) == 1


def test_each_token_has_its_policy() -> None:
    function = Function(answer())
    guarded = guard(function)
    authorize(guarded, "one")
    function.answer = answer("Deny")
    assert refusal(guarded, "two") == "ACCESS_DENIED"
    authorize(guarded, "one")


def test_a_policy_is_asked_for_again_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    function = Function(answer())
    guarded = guard(function, ttl=60)
    authorize(guarded)
    now = 1059.9
    authorize(guarded)
    assert len(function.events) == 1
    now = 1060.0
    authorize(guarded)
    assert len(function.events) == 2


def test_nothing_is_remembered_without_a_ttl() -> None:
    function = Function(answer())
    guarded = guard(function, ttl=0)
    authorize(guarded)
    authorize(guarded)
    assert len(function.events) == 2


def test_the_oldest_policy_is_forgotten_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_POLICIES", 2)
    function = Function(answer())
    guarded = guard(function)
    for token in ("one", "two", "three", "three", "two", "one"):
        authorize(guarded, token)
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
    guarded = guard(function)
    assert refusal(guarded) == kind
    assert refusal(guarded) == kind
    assert len(function.events) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "Allow",
        {"policyDocument": answer()["policyDocument"]},
        {"principalId": "7"},
        answer() | {"principalId": 7},
        answer("Perhaps"),
        answer(context=["a"]),
        answer(context={"nested": {"a": 1}}),
    ],
)
def test_an_answer_that_is_none(wrong: object) -> None:
    assert refusal(guard(Function(wrong))) == "AUTHORIZER_CONFIGURATION_ERROR"
