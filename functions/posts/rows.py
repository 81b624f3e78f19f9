"""What the statements return."""

from datetime import datetime
from typing import NamedTuple


class PostRow(NamedTuple):
    """A post and its owner; when there is none for the user who asks, `found` is false and the rest None."""

    found: bool
    id: int
    title: str
    content: str
    published: bool
    created_at: datetime
    vote_count: int
    owner_id: int
    owner_email: str
    owner_created_at: datetime
