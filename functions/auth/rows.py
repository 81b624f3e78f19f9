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
        email: The address of the account; None if there is nothing to do.
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


class VerificationRow(NamedTuple):
    """A request to verify an address.

    Attributes:
        email: The address to which a mail has to be sent; None if there is nothing to verify.
        is_pending: Whether a change to this address is pending.
        retry_after_seconds: The time until the quota is renewed; None if it does not refuse the request.

    """

    email: str | None
    is_pending: bool
    retry_after_seconds: int | None


class ConfirmedRow(NamedTuple):
    """The use of a token that verifies or reverts an address.

    Attributes:
        email: The address of the token.
        previous_email: The address that the user had before.
        is_revert: Whether the token reverts a change.
        is_taken: Whether another user has the address; then nothing was changed.
        can_revert: Whether a token was added that reverts this change.

    """

    email: str
    previous_email: str
    is_revert: bool
    is_taken: bool
    can_revert: bool
