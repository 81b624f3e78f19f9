"""The rows that the statements return."""

from typing import NamedTuple
from uuid import UUID


class SessionRow(NamedTuple):
    """A session and its user."""

    id: UUID
    user_id: int


class RenewedRow(NamedTuple):
    """A renewed session.

    Attributes:
        id: The id of the session; None if the quota refuses the request or the session ended meanwhile.
        user_id: The id of its user.
        token_hash: The hash of its refresh token.
        retry_after_seconds: The time until the quota is renewed; None if it does not refuse the request.

    """

    id: UUID | None
    user_id: int
    token_hash: str
    retry_after_seconds: int | None


class UserRow(NamedTuple):
    """A user who exists."""

    id: int


class ResetRow(NamedTuple):
    """A request to reset a password.

    Attributes:
        email: The address of the account; None if there is nothing to do or the limit refuses the request.
        retry_after_seconds: The time until the client may send the next request; None if it is not refused.

    """

    email: str | None
    retry_after_seconds: int | None


class RecoveredRow(NamedTuple):
    """A user who has a new password."""

    id: int
    email: str


class TokenRow(NamedTuple):
    """A token in the link of a mail."""

    user_id: int
