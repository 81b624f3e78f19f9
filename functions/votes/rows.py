"""The rows that the statements return."""

from typing import NamedTuple


class VoteRow(NamedTuple):
    """The result of casting or retracting a vote.

    Attributes:
        post_exists: Whether there is such a post that the voter may see.
        changed: Whether the vote was cast or retracted.
        retry_after_seconds: The time until the quota is renewed; None if it does not refuse the request.

    """

    post_exists: bool
    changed: bool
    retry_after_seconds: int | None
