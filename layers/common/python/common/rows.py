"""What the statements of this package return."""

from typing import NamedTuple


class AttemptRow(NamedTuple):
    """Whether an attempt to log in may go on, and what the account's password is checked with.

    `wait` is the seconds until the next attempt may; `id` and `password` are None when there is no account.
    """

    admitted: bool
    wait: int
    id: int | None
    password: str | None
