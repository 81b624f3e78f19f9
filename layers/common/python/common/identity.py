"""Who is asking: the user whom the authorizer found in the token."""

from collections.abc import Sequence
from typing import Annotated, TypeVar
from uuid import UUID

from aws_lambda_powertools.event_handler import Depends, Request
from aws_lambda_powertools.event_handler.exceptions import UnauthorizedError

T = TypeVar("T")

UNAUTHORIZED = "Could not validate credentials"


def user_id(request: Request) -> int:
    """Return the user's id from the authorizer's context; 401 without one, whatever the gateway let in."""
    claim = _claim(request, "user_id")
    if not claim.isdecimal():
        raise UnauthorizedError(UNAUTHORIZED)
    return int(claim)


def session_id(request: Request) -> UUID:
    """Return the id of the session that the token belongs to; 401 without one."""
    try:
        return UUID(_claim(request, "session_id"))
    except ValueError:
        raise UnauthorizedError(UNAUTHORIZED) from None


def _claim(request: Request, name: str) -> str:
    context = request.resolved_event["requestContext"].get("authorizer") or {}
    return context.get(name) or ""


CurrentUser = Annotated[int, Depends(user_id)]
CurrentSession = Annotated[UUID, Depends(session_id)]


def rows_for_user(rows: Sequence[T]) -> Sequence[T]:
    """Return the rows of a statement that starts from the user's own row; 401 when there is none.

    Tokens outlive accounts: that of a deleted user is still well signed.
    """
    if not rows:
        raise UnauthorizedError(UNAUTHORIZED)
    return rows
