"""The rows that the statements of this package return."""

from typing import NamedTuple


class AttemptRow(NamedTuple):
    """A counted login attempt.

    Attributes:
        allowed: Whether the rate limit allows the attempt.
        retry_after_seconds: The time until the next attempt is allowed.
        user_id: The id of the account, or None if there is no such account.
        password_hash: The hash of its password, or None if there is no such account.

    """

    allowed: bool
    retry_after_seconds: int
    user_id: int | None
    password_hash: str | None
