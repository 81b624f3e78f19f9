"""Request and response bodies of the posts function."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, RootModel

from common.schemas import STORABLE, UserOut
from posts.rows import IdempotentPostRow, ListedPost, PostRow

MAX_TITLE_LENGTH = 300
# The maximum of release 1.0. A PUT may keep such a title.
OLD_MAX_TITLE_LENGTH = 1_000
MAX_CONTENT_LENGTH = 50_000


class PostUpdate(BaseModel):
    """The replacement of a post, which may keep a title that is too long for a new post."""

    title: Annotated[str, Field(max_length=OLD_MAX_TITLE_LENGTH), STORABLE]
    content: Annotated[str, Field(max_length=MAX_CONTENT_LENGTH), STORABLE]
    published: bool = True


class PostCreate(PostUpdate):
    """A new post."""

    title: Annotated[str, Field(max_length=MAX_TITLE_LENGTH), STORABLE]


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
        """Return the post in a row."""
        return cls.model_validate(_fields(row))

    @classmethod
    def first_response(cls, row: IdempotentPostRow, owner: int, post: PostCreate) -> Self:
        """Return the post as it was when the first request with an idempotency key created it."""
        author = UserOut(id=owner, email=row.owner_email, created_at=row.owner_created_at)
        written = {"id": row.id, "created_at": row.created_at, "owner": author}
        return cls.model_validate(written | post.model_dump())


class PostOut(BaseModel):
    """A post and the number of votes on it."""

    post: Annotated[Post, Field(alias="Post")]
    vote: int


class Page(RootModel[list[PostOut]]):
    """A page of a list."""

    @classmethod
    def of(cls, posts: Iterable[ListedPost]) -> Self:
        """Return the page with these posts. Validating all at once takes half the time of one by one."""
        return cls.model_validate([{"Post": _fields(each.post), "vote": each.votes} for each in posts])


def _fields(row: PostRow) -> dict[str, Any]:
    owner = {"id": row.owner_id, "email": row.owner_email, "created_at": row.owner_created_at}
    return row._asdict() | {"owner": owner}
