"""Whether a policy allows a request."""

import pytest

from local.gateway.policy import PolicyError, allows

ARN = "arn:aws:execute-api:us-east-1:123456789012:api/local/GET/posts/7"


def statement(
    effect: str = "Allow", resource: object = "*", action: object = "execute-api:Invoke"
) -> dict[str, object]:
    return {"Effect": effect, "Resource": resource, "Action": action}


def policy(*statements: object) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


@pytest.mark.parametrize(
    "resource",
    ["*", ARN, "arn:aws:execute-api:*:*:api/local/*/*", "*/GET/posts/?", ["arn:nothing", ARN]],
)
def test_a_resource_that_matches(resource: object) -> None:
    assert allows(policy(statement(resource=resource)), ARN)


@pytest.mark.parametrize(
    "resource",
    ["arn:nothing", "*/POST/*", "*/GET/posts/??", "*/get/posts/7", ARN[:-1], ARN.replace("a", "."), []],
)
def test_a_resource_that_does_not_match(resource: object) -> None:
    assert not allows(policy(statement(resource=resource)), ARN)


@pytest.mark.parametrize(
    "action", ["execute-api:Invoke", "EXECUTE-API:invoke", "execute-api:*", "*", ["s3:*", "*"]]
)
def test_an_action_that_matches(action: object) -> None:
    assert allows(policy(statement(action=action)), ARN)


def test_an_action_that_does_not_match() -> None:
    assert not allows(policy(statement(action="s3:GetObject")), ARN)


def test_a_deny_overrides_an_allow() -> None:
    assert not allows(policy(statement(), statement("Deny", "*/GET/*")), ARN)
    assert allows(policy(statement(), statement("Deny", "*/POST/*")), ARN)


def test_without_an_allow_the_method_is_denied() -> None:
    assert not allows(policy(), ARN)


def test_a_single_statement_needs_no_list() -> None:
    assert allows({"Statement": statement()}, ARN)


@pytest.mark.parametrize(
    "document",
    [
        None,
        "Allow",
        {},
        policy("Allow"),
        policy({"Effect": "Allow"}),
        policy(statement("allow")),
        policy(statement(resource=5)),
        policy(statement() | {"Condition": {}}),
        policy(statement() | {"NotResource": "*"}),
    ],
)
def test_an_invalid_policy(document: object) -> None:
    with pytest.raises(PolicyError):
        allows(document, ARN)
