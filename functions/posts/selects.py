"""What the statements of posts share.

Each statement starts from the principal and joins the posts that they may see. No row means that the token is
no longer valid. A row in which `post_exists` is false means that there is no such post that they may see.
"""

from typing import Any

from sqlalchemy import CTE, ColumnElement, FromClause, Select, case, func, select, true
from sqlalchemy.orm import aliased

from common.models import Post, User
from posts.limits import CONTENT_LENGTH, TITLE_LENGTH

PostSelect = Select[*tuple[Any, ...]]


def _cut(text: ColumnElement[str], length: ColumnElement[int]) -> ColumnElement[str]:
    # Finding the end takes time, but PostgreSQL knows the number of bytes.
    return case((func.octet_length(text) <= length, text), else_=func.left(text, length))


def columns_of(posts: FromClause) -> tuple[ColumnElement[Any], ...]:
    """Return the columns of posts that responses need.

    Texts may be longer than the limits in rows of release 1.0 or in rows that an operator wrote.
    """
    return (
        posts.c.id,
        _cut(posts.c.title, TITLE_LENGTH).label("title"),
        _cut(posts.c.content, CONTENT_LENGTH).label("content"),
        posts.c.published,
        posts.c.created_at,
        posts.c.owner_id,
    )


POST_COLUMNS = columns_of(Post.__table__)
TRUE: ColumnElement[bool] = true()


def for_viewer(viewer: CTE, posts: FromClause, *more: ColumnElement[Any]) -> PostSelect:
    """Return the fields of PostLookupRow for posts that the viewer may see, and more columns."""
    owner = aliased(User)
    return (
        select(
            posts.c.id.is_not(None).label("post_exists"),
            posts.c.id,
            posts.c.title,
            posts.c.content,
            posts.c.published,
            posts.c.created_at,
            posts.c.owner_id,
            owner.email.label("owner_email"),
            owner.created_at.label("owner_created_at"),
            *more,
        )
        .select_from(viewer)
        .outerjoin(posts, TRUE)
        .outerjoin(owner, owner.id == posts.c.owner_id)
    )
