"""The Lambda authorizer: says who a bearer token belongs to, without a database.

Every cold request waits for its start, so it imports neither SQLAlchemy nor pydantic nor the event handler.
"""

from typing import Any

from common.keys import KeyRing
from common.tokens import InvalidTokenError, verify

ring = KeyRing()


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a TOKEN authorizer event with a policy for the whole stage.

    The gateway keeps the policy for the token, whatever method it is used on next. A bad token is denied
    rather than answered with an error, which would count as a fault of ours and not be kept. Raises AwsError
    when no keys can be had, which the gateway answers with 500.
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
    if scheme.lower() != "bearer":  # in any letter case, says RFC 9110, section 11.1
        raise InvalidTokenError("not a bearer token")
    return token.strip()


def _policy(effect: str, method_arn: str, principal: str) -> dict[str, Any]:
    api, stage, *_ = method_arn.split("/")
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": f"{api}/{stage}/*/*"}
    return {"principalId": principal, "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
