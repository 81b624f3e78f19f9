"""What the statements of this package return."""

from typing import NamedTuple


class AttemptRow(NamedTuple):
    """Whether a login attempt is allowed, and the account that it is for.

    `retry_after_seconds` is the time until the next attempt. `user_id` and `password_hash` are None when the
    account does not exist.
    """

    allowed: bool
    retry_after_seconds: int
    user_id: int | None
    password_hash: str | None
