"""What the statements return."""

from datetime import datetime
from typing import NamedTuple


class UserRow(NamedTuple):
    """The columns of UserOut."""

    id: int
    email: str
    created_at: datetime


class AccountRow(NamedTuple):
    """The columns of Account."""

    id: int
    email: str
    created_at: datetime
    phone_number: str | None


class EmailChangeRow(NamedTuple):
    """An account whose address has changed; when it has not, only `email_taken` is not None."""

    email_taken: bool
    id: int
    email: str
    created_at: datetime
    phone_number: str | None
