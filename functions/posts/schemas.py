"""The shapes of posts."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field

from common.schemas import STORABLE, Text, UserOut
from posts.rows import OnceRow, PostRow

# Search indexes every run of three characters of a title: its length has to have an end.
LONGEST_TITLE = 1_000


class PostCreate(BaseModel):
    """What an owner writes, new or changed."""

    title: Annotated[str, Field(max_length=LONGEST_TITLE), STORABLE]
    content: Text
    published: bool = True


class Post(BaseModel):
    """A post with its owner."""

    id: int
    title: str
    content: str
    published: bool
    created_at: datetime
    owner: UserOut

    @classmethod
    def of(cls, row: PostRow) -> Self:
        """Return the post of a row."""
        post = row._asdict()
        post["owner"] = UserOut(id=row.owner_id, email=row.owner_email, created_at=row.owner_created_at)
        return cls.model_validate(post)

    @classmethod
    def once(cls, row: OnceRow, owner: int, post: PostCreate) -> Self:
        """Return the post that a request with an idempotency key made, the first time it came."""
        by = UserOut(id=owner, email=row.owner_email, created_at=row.owner_created_at)
        return cls(id=row.id, created_at=row.created_at, owner=by, **post.model_dump())


class PostOut(BaseModel):
    """A post and the number of votes on it."""

    post: Annotated[Post, Field(alias="Post")]
    vote: int

    @classmethod
    def of(cls, row: PostRow) -> Self:
        """Return the list entry of a row."""
        return cls.model_validate({"Post": Post.of(row), "vote": row.vote_count})
