"""The principal of a request: the user and the session that the authorizer found in the access token."""

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.exceptions import UnauthorizedError

T = TypeVar("T")

UNAUTHORIZED = "Could not validate credentials"


def current_user_id(app: APIGatewayRestResolver) -> int:
    """Return the id of the user in the authorizer context.

    Raises UnauthorizedError if there is none, so that a route without an authorizer fails closed.
    """
    claim = _claim(app, "user_id")
    if not claim.isdecimal():
        raise UnauthorizedError(UNAUTHORIZED)
    return int(claim)


def current_session_id(app: APIGatewayRestResolver) -> UUID:
    """Return the id of the session in the authorizer context; raises UnauthorizedError if there is none."""
    try:
        return UUID(_claim(app, "session_id"))
    except ValueError:
        raise UnauthorizedError(UNAUTHORIZED) from None


def _claim(app: APIGatewayRestResolver, name: str) -> str:
    context = app.current_event["requestContext"].get("authorizer") or {}
    return context.get(name) or ""


def rows_or_unauthorized(rows: Sequence[T]) -> Sequence[T]:
    """Return the rows of a statement that starts from the principal's row in `users`.

    Raises UnauthorizedError if there are none: the account was deleted, but its access token has not expired.
    """
    if not rows:
        raise UnauthorizedError(UNAUTHORIZED)
    return rows
