"""What the statements return."""

from typing import NamedTuple


class VoteRow(NamedTuple):
    """Whether there is such a post for the voter, and whether anything was done."""

    post_exists: bool
    changed: bool
