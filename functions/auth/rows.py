"""What the statements return."""

from typing import NamedTuple
from uuid import UUID


class SessionRow(NamedTuple):
    """A session and whose it is."""

    id: UUID
    user_id: int


class UserRow(NamedTuple):
    """A user who is still there."""

    id: int
