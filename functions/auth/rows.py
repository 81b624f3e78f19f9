"""What the statements return."""

from typing import NamedTuple


class CredentialsRow(NamedTuple):
    """A user's id and bcrypt hash."""

    id: int
    password: str
