"""Who is asking: the user whom the authorizer found in the token."""

from collections.abc import Sequence
from typing import Annotated, TypeVar

from aws_lambda_powertools.event_handler import Depends, Request
from aws_lambda_powertools.event_handler.exceptions import UnauthorizedError

T = TypeVar("T")

UNAUTHORIZED = "Could not validate credentials"


def user_id(request: Request) -> int:
    """Return the user's id from the authorizer's context; 401 without one, whatever the gateway let in."""
    context = request.resolved_event["requestContext"].get("authorizer") or {}
    claim = context.get("user_id") or ""
    if not claim.isdecimal():
        raise UnauthorizedError(UNAUTHORIZED)
    return int(claim)


CurrentUser = Annotated[int, Depends(user_id)]


def rows_for_user(rows: Sequence[T]) -> Sequence[T]:
    """Return the rows of a statement that starts from the user's own row; 401 when there is none.

    Tokens outlive accounts: that of a deleted user is still well signed.
    """
    if not rows:
        raise UnauthorizedError(UNAUTHORIZED)
    return rows
