"""The rows that the statements return."""

from typing import NamedTuple


class VoteRow(NamedTuple):
    """The result of casting or retracting a vote.

    Attributes:
        post_exists: Whether there is such a post that the voter may see.
        changed: Whether the vote was cast or retracted.
        retry_after_seconds: The time until the quota is renewed; None if it does not refuse the request.
        may_write: Whether the voter may vote; False if they have to verify their address first.

    """

    post_exists: bool
    changed: bool
    retry_after_seconds: int | None
    may_write: bool
