"""The SQL of posts."""

from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    and_,
    case,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from common.models import IdempotencyKey, Post
from common.principal import Principal
from common.queries import DAY_AGO, NOW, SWEEP_LIMIT, is_published, is_visible_to, may_write, valid_principal
from common.quotas import Quota, use_quota
from common.statement import statement
from posts.limits import NEW_TITLE_LENGTH
from posts.rows import IdempotentPostRow, PostLookupRow, PostWriteRow, RequestKey
from posts.selects import POST_COLUMNS, TRUE, PostSelect, for_viewer


def _quota(writer: CTE, per_day: int, *conditions: ColumnElement[bool]) -> Quota:
    # Replacing a post costs as much as creating one. Both count even if they fail.
    return use_quota(writer, "posts", per_day, *conditions)


def _or_someone_elses(own: FromClause, post_id: int, editor: int) -> FromClause:
    """Return the editor's post, or another user's published post, so that the response is 403 and not 404."""
    someone_elses = select(*POST_COLUMNS).where(Post.id == post_id, Post.owner_id != editor, is_published())
    return union_all(select(own), someone_elses).subquery()


@statement(PostLookupRow)
def read(viewer: Principal, *, post_id: int) -> PostSelect:
    """Read a post that the viewer may see."""
    post = select(*POST_COLUMNS).where(Post.id == post_id, is_visible_to(viewer.user_id))
    return for_viewer(valid_principal(viewer), post.subquery())


@statement(PostWriteRow)
def create(
    principal: Principal, *, title: str, content: str, published: bool, per_day: int, verified_only: bool
) -> PostSelect:
    """Insert a post."""
    owner = valid_principal(principal)
    is_allowed = may_write(owner, verified_only)
    quota = _quota(owner, per_day, is_allowed)
    written: tuple[Any, ...] = (title, content, published)
    created = (
        insert(Post)
        .from_select(["owner_id", "title", "content", "published"], select(quota.allowed.c.user_id, *written))
        .returning(*POST_COLUMNS)
    )
    return for_viewer(owner, created.cte("created"), quota.retry_after_seconds, is_allowed.label("may_write"))


@statement(IdempotentPostRow)
def create_once(
    principal: Principal,
    request: RequestKey,
    *,
    title: str,
    content: str,
    published: bool,
    per_day: int,
    verified_only: bool,
) -> PostSelect:
    """Insert a post, or return the post of an earlier request with the same key in the last day.

    If two requests use a key at the same moment, one of them finds the key only after it has inserted its
    post. It then raises a serialization failure, which rolls the statement back. It is run again
    (`common.database.CONFLICTS`) and returns the post of the other request.

    A request that returns an earlier post does not count towards the quota, so that a client whose last
    response was lost gets it.

    Each new post deletes a few expired keys of its owner.
    """
    owner = valid_principal(principal)
    written: tuple[Any, ...] = (title, content, published)
    key_value: Any = request.key
    fingerprint_value: Any = request.fingerprint
    earlier = (
        select(IdempotencyKey)
        .where(
            IdempotencyKey.user_id == principal.user_id,
            IdempotencyKey.key == request.key,
            IdempotencyKey.created_at > DAY_AGO,
        )
        .cte("earlier")
    )
    is_allowed = may_write(owner, verified_only)
    quota = _quota(owner, per_day, is_allowed, ~exists(select(earlier.c.key)))
    created = (
        insert(Post)
        .from_select(["owner_id", "title", "content", "published"], select(quota.allowed.c.user_id, *written))
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
            "post_id": case(
                (IdempotencyKey.created_at > DAY_AGO, func.raise_serialization_failure()),
                else_=stored.excluded.post_id,
            ),
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
            IdempotencyKey.user_id == principal.user_id,
            IdempotencyKey.key != request.key,
            IdempotencyKey.created_at <= DAY_AGO,
            exists(select(stored_key.c.key)),
        )
        .limit(SWEEP_LIMIT)
        .with_for_update(skip_locked=True)
        .cte("expired")
    )
    swept = delete(IdempotencyKey).where(
        IdempotencyKey.user_id == principal.user_id, IdempotencyKey.key.in_(select(expired.c.key))
    )
    result = union_all(
        select(created.c.id, created.c.created_at, fingerprint_value),
        select(earlier.c.post_id, earlier.c.created_at, earlier.c.fingerprint),
    ).subquery()
    return (
        select(
            result.c.id,
            result.c.created_at,
            (result.c.fingerprint == request.fingerprint).label("same_request"),
            owner.c.email.label("owner_email"),
            owner.c.created_at.label("owner_created_at"),
            quota.retry_after_seconds,
            is_allowed.label("may_write"),
        )
        .select_from(owner)
        .outerjoin(result, TRUE)
        .add_cte(swept.cte("swept"))
    )


@statement(PostWriteRow)
def change(
    principal: Principal,
    *,
    post_id: int,
    title: str,
    content: str,
    published: bool,
    per_day: int,
    verified_only: bool,
) -> PostSelect:
    """Replace a post of the editor and return it. Return another user's published post unchanged.

    A post that has these values already is not written, and the request does not count towards the quota. So
    nothing at all is written. If the new title is too long, the post is returned unchanged, unless it has
    that title already.
    """
    editor = valid_principal(principal)
    is_own = and_(Post.owner_id == editor.c.id, Post.deleted_at.is_(None))
    own = select(*POST_COLUMNS).where(Post.id == post_id, is_own).cte("own")
    is_same = and_(own.c.title == title, own.c.content == content, own.c.published == published)
    is_allowed = may_write(editor, verified_only)
    quota = _quota(editor, per_day, is_allowed, ~exists(select(own.c.id).where(is_same)))
    is_too_long = and_(own.c.title != title, func.length(title) > NEW_TITLE_LENGTH)
    # Compare with `own`, which stays as it is while the update waits for a concurrent one.
    stays = or_(is_same, is_too_long)
    changed = (
        update(Post)
        .where(Post.id == own.c.id, Post.owner_id == quota.allowed.c.user_id, ~stays)
        .where(Post.deleted_at.is_(None))
        .values(title=title, content=content, published=published)
        .returning(*POST_COLUMNS)
        .cte("changed")
    )
    result = union_all(select(changed), select(own).where(stays)).subquery()
    return for_viewer(
        editor,
        _or_someone_elses(result, post_id, principal.user_id),
        quota.retry_after_seconds,
        is_allowed.label("may_write"),
    )


@statement(PostLookupRow)
def mark_deleted(principal: Principal, *, post_id: int) -> PostSelect:
    """Delete a post of the editor and return it. Return another user's published post without deleting it.

    The maintenance function removes the row and its votes later: there may be a million of them.
    """
    editor = valid_principal(principal)
    deleted = (
        update(Post)
        .where(Post.id == post_id, Post.owner_id == editor.c.id, Post.deleted_at.is_(None))
        .values(published=literal_column("false"), deleted_at=NOW)
        .returning(*POST_COLUMNS)
        .cte("deleted")
    )
    return for_viewer(editor, _or_someone_elses(deleted, post_id, principal.user_id))
