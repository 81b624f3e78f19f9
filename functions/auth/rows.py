"""The rows that the statements return."""

from typing import NamedTuple
from uuid import UUID


class SessionRow(NamedTuple):
    """A session and its user."""

    id: UUID
    user_id: int


class RenewedRow(NamedTuple):
    """A renewed session, its user, and the hash of its refresh token."""

    id: UUID
    user_id: int
    token_hash: str


class UserRow(NamedTuple):
    """A user who exists."""

    id: int
