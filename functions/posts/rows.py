"""What the statements return."""

from datetime import datetime
from typing import NamedTuple


class PostRow(NamedTuple):
    """A post and its owner; when there is none for the user who asks, `found` is false and the rest None.

    In a list of somebody's posts, `found` is None when there is no such author.
    """

    found: bool | None
    id: int
    title: str
    content: str
    published: bool
    created_at: datetime
    vote_count: int
    owner_id: int
    owner_email: str
    owner_created_at: datetime


class IdempotentPostRow(NamedTuple):
    """The post that an idempotency key created; `same_request` says whether it came with the same body."""

    id: int
    created_at: datetime
    same_request: bool
    owner_email: str
    owner_created_at: datetime
