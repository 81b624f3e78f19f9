"""Who is asking: the user whom the authorizer found in the token."""

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.exceptions import UnauthorizedError

T = TypeVar("T")

UNAUTHORIZED = "Could not validate credentials"


def current_user_id(app: APIGatewayRestResolver) -> int:
    """Return the user's id from the authorizer's context; 401 without one, whatever the gateway let in."""
    claim = _claim(app, "user_id")
    if not claim.isdecimal():
        raise UnauthorizedError(UNAUTHORIZED)
    return int(claim)


def current_session_id(app: APIGatewayRestResolver) -> UUID:
    """Return the id of the session that the token belongs to; 401 without one."""
    try:
        return UUID(_claim(app, "session_id"))
    except ValueError:
        raise UnauthorizedError(UNAUTHORIZED) from None


def _claim(app: APIGatewayRestResolver, name: str) -> str:
    context = app.current_event["requestContext"].get("authorizer") or {}
    return context.get(name) or ""


def rows_or_unauthorized(rows: Sequence[T]) -> Sequence[T]:
    """Return the rows of a statement that starts from the user's own row; 401 when there is none.

    Tokens outlive accounts: that of a deleted user is still well signed.
    """
    if not rows:
        raise UnauthorizedError(UNAUTHORIZED)
    return rows
