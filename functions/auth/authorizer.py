"""The Lambda authorizer: finds the principal of an access token, without a database.

Its cold start delays every route. So it imports neither a database driver nor pydantic nor Powertools.
"""

from typing import Any

from common.keys import KeyRing
from common.tokens import InvalidTokenError, verify

ring = KeyRing()


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the policy for a TOKEN authorizer event.

    The policy covers the whole stage, because the gateway caches it per token and applies it to any method.
    An invalid token gets a Deny policy. An exception would count as a Lambda error and would not be cached.

    Raises AwsError if no key ring can be fetched. The gateway then responds with 500.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html
    """
    try:
        principal = verify(_bearer_token(event["authorizationToken"]), ring)
    except InvalidTokenError:
        return _policy("Deny", event["methodArn"], "anonymous")
    context = {"user_id": str(principal.user_id), "session_id": principal.session_id}
    return _policy("Allow", event["methodArn"], context["user_id"]) | {"context": context}


def _bearer_token(header: str) -> str:
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer":  # case-insensitive (RFC 9110, section 11.1)
        raise InvalidTokenError("not a bearer token")
    return token.strip()


def _policy(effect: str, method_arn: str, principal: str) -> dict[str, Any]:
    api, stage, *_ = method_arn.split("/")
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": f"{api}/{stage}/*/*"}
    return {"principalId": principal, "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
