"""The Lambda authorizer: a policy for each token."""

import time
from typing import Any

import jwt
import pytest

from auth.authorizer import handler
from common.keys import Key, KeyRing
from common.principal import Principal
from common.tokens import sign
from tests.support.lambdas import Context, load_event

BEARER = Principal(7, "5f0c64a2-6d1e-4a3b-9c56-0f4a5b1f8a11")
STAGE = "arn:aws:execute-api:eu-central-1:123456789012:k3x9w2v7qd/prod"


def authorize(header: str) -> dict[str, Any]:
    return handler(load_event("authorize") | {"authorizationToken": header}, Context())


def assert_denied(policy: dict[str, Any]) -> None:
    assert policy.keys() == {"principalId", "policyDocument"}
    assert policy["policyDocument"]["Version"] == "2012-10-17"
    assert policy["policyDocument"]["Statement"] == [
        {"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": f"{STAGE}/*/*"}
    ]


@pytest.fixture
def token() -> str:
    """Return a valid token of user 7."""
    return sign(BEARER, KeyRing().signing_key(), lifetime=60)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize("form", ["{} {}", " {}  {} "])
def test_a_valid_token_is_allowed_for_the_whole_stage(scheme: str, form: str, token: str) -> None:
    assert authorize(form.format(scheme, token)) == {
        "principalId": "7",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{STAGE}/*/*"}],
        },
        "context": {"user_id": "7", "session_id": BEARER.session_id},
    }


@pytest.mark.parametrize("scheme", ["", "Basic ", "Token ", "Bearer", "Bearer:", "Bearer,"])
def test_a_token_of_another_scheme_is_denied(scheme: str, token: str) -> None:
    assert_denied(authorize(f"{scheme}{token}"))


@pytest.mark.parametrize(
    "header",
    ["", " ", "Bearer", "Bearer ", "Bearer a", "Bearer a.b.c", "Bearer ..", "Bearer \x80", "Bearer é"],
)
def test_anything_but_a_token_is_denied(header: str) -> None:
    assert_denied(authorize(header))


def test_two_tokens_in_one_header_are_denied(token: str) -> None:
    assert_denied(authorize(f"Bearer {token} {token}"))


def test_a_token_signed_with_a_foreign_key_is_denied() -> None:
    foreign = sign(BEARER, Key(KeyRing().signing_key().kid, "x" * 32), lifetime=60)
    assert_denied(authorize(f"Bearer {foreign}"))


def test_an_expired_token_is_denied() -> None:
    assert_denied(authorize(f"Bearer {sign(BEARER, KeyRing().signing_key(), lifetime=-1)}"))


def test_a_token_without_a_user_is_denied() -> None:
    key = KeyRing().signing_key()
    claims = {"iss": "social", "aud": "social-api", "sub": "7", "iat": time.time(), "exp": time.time() + 60}
    token = jwt.encode(claims, key.secret, algorithm="HS256", headers={"kid": key.kid})
    assert_denied(authorize(f"Bearer {token}"))
