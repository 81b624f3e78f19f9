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
