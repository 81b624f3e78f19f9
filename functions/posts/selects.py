"""What the statements of posts share.

Each statement starts from the principal and joins the posts that they may see. No row means that the token is
no longer valid. A row in which `post_exists` is false means that there is no such post that they may see.
"""

from typing import Any

from sqlalchemy import CTE, ColumnElement, FromClause, Select, String, func, select, true
from sqlalchemy.orm import aliased

from common.models import Post, User
from posts.limits import CONTENT_LENGTH, TITLE_LENGTH

# Texts may be longer than the limits in rows of release 1.0 or in rows that an operator wrote.
POST_COLUMNS = (
    Post.id,
    func.left(Post.title, TITLE_LENGTH, type_=String).label("title"),
    func.left(Post.content, CONTENT_LENGTH, type_=String).label("content"),
    Post.published,
    Post.created_at,
    Post.owner_id,
)
TRUE: ColumnElement[bool] = true()

PostSelect = Select[*tuple[Any, ...]]


def for_viewer(viewer: CTE, posts: FromClause, *more: ColumnElement[Any]) -> PostSelect:
    """Return the fields of PostLookupRow for posts that the viewer may see, and more columns."""
    owner = aliased(User)
    return (
        select(
            posts.c.id.is_not(None).label("post_exists"),
            *(posts.c[column.key] for column in POST_COLUMNS),
            owner.email.label("owner_email"),
            owner.created_at.label("owner_created_at"),
            *more,
        )
        .select_from(viewer)
        .outerjoin(posts, TRUE)
        .outerjoin(owner, owner.id == posts.c.owner_id)
    )
