"""The SQL of posts."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    case,
    delete,
    exists,
    literal_column,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from common.models import IdempotencyKey, Post, User
from common.queries import SWEEP_LIMIT
from common.statement import statement
from posts.rows import IdempotentPostRow, PostLookupRow
from posts.selects import POST_COLUMNS, TRUE, PostSelect, for_viewer

DAY_AGO: ColumnElement[datetime] = literal_column("now() - interval '1 day'")


def _or_someone_elses(own: FromClause, post_id: int, editor: int) -> FromClause:
    someone_elses = select(*POST_COLUMNS).where(Post.id == post_id, Post.owner_id != editor, Post.published)
    return union_all(select(own), someone_elses).subquery()


@statement(PostLookupRow)
def read(*, post_id: int, viewer: int) -> PostSelect:
    """Read a post that the viewer may see."""
    visible = or_(Post.published, Post.owner_id == viewer)
    return for_viewer(viewer, select(*POST_COLUMNS).where(Post.id == post_id, visible).subquery())


@statement(PostLookupRow)
def create(*, owner: int, title: str, content: str, published: bool) -> PostSelect:
    """Insert a post."""
    written: tuple[Any, ...] = (title, content, published)
    values = select(User.id, *written).where(User.id == owner)
    created = (
        insert(Post)
        .from_select(["owner_id", "title", "content", "published"], values)
        .returning(*POST_COLUMNS)
    )
    return for_viewer(owner, created.cte("created"))


@statement(IdempotentPostRow)
def create_once(
    *, owner: int, title: str, content: str, published: bool, key: str, fingerprint: str
) -> PostSelect:
    """Insert a post, or return the post of an earlier request with the same key in the last day.

    If two requests use a key at the same moment, one of them finds the key only after it has inserted its
    post. It then sets `post_id` to NULL, which violates a constraint and rolls the statement back. It is run
    again (`common.database.CONFLICTS`) and returns the post of the other request.

    Each new post deletes a few expired keys of its owner.
    """
    written: tuple[Any, ...] = (title, content, published)
    key_value: Any = key
    fingerprint_value: Any = fingerprint
    earlier = (
        select(IdempotencyKey)
        .where(
            IdempotencyKey.user_id == owner, IdempotencyKey.key == key, IdempotencyKey.created_at > DAY_AGO
        )
        .cte("earlier")
    )
    # Lock the user first, in the same order as the deletion of an account, to avoid a deadlock. The foreign
    # key of the post locks the same row, but only at the end.
    values = (
        select(User.id, *written)
        .where(User.id == owner, ~exists(select(earlier.c.key)))
        .with_for_update(key_share=True, read=True)
    )
    created = (
        insert(Post)
        .from_select(["owner_id", "title", "content", "published"], values)
        .returning(Post.id, Post.created_at, Post.owner_id)
        .cte("created")
    )
    stored = insert(IdempotencyKey).from_select(
        ["user_id", "post_id", "created_at", "key", "fingerprint"],
        select(created.c.owner_id, created.c.id, created.c.created_at, key_value, fingerprint_value),
    )
    stored = stored.on_conflict_do_update(
        index_elements=[IdempotencyKey.user_id, IdempotencyKey.key],
        set_={
            "post_id": case((IdempotencyKey.created_at > DAY_AGO, null()), else_=stored.excluded.post_id),
            "created_at": stored.excluded.created_at,
            "fingerprint": stored.excluded.fingerprint,
        },
    )
    stored_key = stored.returning(IdempotencyKey.key).cte("stored_key")
    # Delete expired keys only after our own key is stored, and skip locked ones: two requests that replace
    # expired keys would otherwise wait for each other. Exclude our own key, which may have been expired, too,
    # because a statement cannot change a row twice. Select them in a CTE, which is evaluated only once.
    expired = (
        select(IdempotencyKey.key)
        .where(
            IdempotencyKey.user_id == owner,
            IdempotencyKey.key != key,
            IdempotencyKey.created_at <= DAY_AGO,
            exists(select(stored_key.c.key)),
        )
        .limit(SWEEP_LIMIT)
        .with_for_update(skip_locked=True)
        .cte("expired")
    )
    swept = delete(IdempotencyKey).where(
        IdempotencyKey.user_id == owner, IdempotencyKey.key.in_(select(expired.c.key))
    )
    result = union_all(
        select(created.c.id, created.c.created_at, fingerprint_value),
        select(earlier.c.post_id, earlier.c.created_at, earlier.c.fingerprint),
    ).subquery()
    return (
        select(
            result.c.id,
            result.c.created_at,
            (result.c.fingerprint == fingerprint).label("same_request"),
            User.email.label("owner_email"),
            User.created_at.label("owner_created_at"),
        )
        .select_from(User)
        .join(result, TRUE)
        .where(User.id == owner)
        .add_cte(swept.cte("swept"))
    )


@statement(PostLookupRow)
def change(*, post_id: int, editor: int, title: str, content: str, published: bool) -> PostSelect:
    """Replace a post of the editor. Return it, or somebody else's published post unchanged."""
    changed = (
        update(Post)
        .where(Post.id == post_id, Post.owner_id == editor)
        .values(title=title, content=content, published=published)
        .returning(*POST_COLUMNS)
        .cte("changed")
    )
    return for_viewer(editor, _or_someone_elses(changed, post_id, editor))


@statement(PostLookupRow)
def remove(*, post_id: int, editor: int) -> PostSelect:
    """Delete a post of the editor. Return it, or somebody else's published post, which is not deleted."""
    removed = (
        delete(Post)
        .where(Post.id == post_id, Post.owner_id == editor)
        .returning(*POST_COLUMNS)
        .cte("removed")
    )
    return for_viewer(editor, _or_someone_elses(removed, post_id, editor))
