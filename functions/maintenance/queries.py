"""The SQL of maintenance: each statement removes one batch of rows.

A batch skips rows that others have locked, and is small enough that nobody who waits for its rows notices.
The database may end a batch at any point: the next one finds what is left.
"""

from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    any_,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.orm import DeclarativeBase

from common.models import (
    DeletedUser,
    IdempotencyKey,
    LoginAttempts,
    Post,
    PostRank,
    RefreshToken,
    Session,
    User,
    Vote,
    VoteDelta,
)
from common.statement import statement
from maintenance.rows import BatchRow

BATCH: ColumnElement[int] = literal_column("1000")
# Removing a post removes its entries in six indexes.
POSTS_IN_A_BATCH: ColumnElement[int] = literal_column("200")
DAY_AGO: ColumnElement[Any] = literal_column("now() - interval '1 day'")
# A refresh token is valid for a month, and its reuse is detected for as long.
MONTH_AGO: ColumnElement[Any] = literal_column("now() - interval '30 days'")


def _places(model: type[DeclarativeBase], limit: ColumnElement[int]) -> Select[Any]:
    """Select the places of rows that nobody has locked; the caller adds the conditions."""
    return (
        select(_place(model).label("place"))
        .select_from(model)
        .limit(limit)
        .with_for_update(skip_locked=True, of=model)
    )


def _place(model: type[DeclarativeBase]) -> ColumnElement[Any]:
    return literal_column(f"{model.__tablename__}.ctid")


def _removed(model: type[DeclarativeBase], places: Select[Any], name: str) -> CTE:
    found = places.cte(f"{name}_found")
    is_found = _place(model) == any_(func.array(select(*found.c).scalar_subquery()))
    return (
        delete(model).where(is_found).returning(literal_column("1").label("removed")).cte(f"{name}_removed")
    )


def _remove(model: type[DeclarativeBase], places: Select[Any]) -> Select[int]:
    """Return the statement that removes the rows at some places and counts them."""
    removed = _removed(model, places, model.__tablename__)
    return select(func.count().label("removed")).select_from(removed)


@statement(BatchRow)
def remove_votes_of_deleted_users() -> Select[int]:
    """Remove votes that deleted users cast."""
    votes = _places(Vote, BATCH).join(DeletedUser, DeletedUser.user_id == Vote.user_id)
    return _remove(Vote, votes)


@statement(BatchRow)
def remove_deleted_posts() -> Select[int]:
    """Remove posts that are deleted or whose owner is, each after its last vote."""
    marked = select(Post.id).where(Post.deleted_at.is_not(None)).limit(POSTS_IN_A_BATCH)
    orphaned = select(Post.id).join(DeletedUser, DeletedUser.user_id == Post.owner_id).limit(POSTS_IN_A_BATCH)
    batch = union_all(marked, orphaned).cte("batch")
    votes = _places(Vote, BATCH).join(batch, batch.c.id == Vote.post_id)
    has_votes = exists(select(Vote.user_id).where(Vote.post_id == Post.id))
    posts = _places(Post, BATCH).where(Post.id.in_(select(batch.c.id)), ~has_votes)
    removed = union_all(
        select(_removed(Vote, votes, "votes")), select(_removed(Post, posts, "posts"))
    ).subquery()
    return select(func.count().label("removed")).select_from(removed)


@statement(BatchRow)
def fold_vote_deltas() -> Select[int]:
    """Add the deltas of posts to their counters, as the next vote on each would do, and remove them."""
    has_deltas = exists(select(VoteDelta.id).where(VoteDelta.post_id == PostRank.post_id))
    # FOR NO KEY UPDATE, as a vote locks it. Nobody else adds deltas of the post to the counter meanwhile.
    counters = select(PostRank.post_id).where(has_deltas).limit(BATCH)
    locked = counters.with_for_update(skip_locked=True, key_share=True).cte("locked")
    places = (
        select(_place(VoteDelta)).select_from(VoteDelta).join(locked, locked.c.post_id == VoteDelta.post_id)
    )
    is_found = _place(VoteDelta) == any_(func.array(places.limit(BATCH).scalar_subquery()))
    removed = delete(VoteDelta).where(is_found).returning(VoteDelta.post_id, VoteDelta.step).cte("removed")
    votes = func.sum(removed.c.step).label("votes")
    sums = select(removed.c.post_id, votes).group_by(removed.c.post_id).cte("sums")
    counted = update(PostRank).where(PostRank.post_id == sums.c.post_id)
    counted = counted.values(vote_count=PostRank.vote_count + sums.c.votes)
    return select(func.count().label("removed")).select_from(removed).add_cte(counted.cte("counted"))


@statement(BatchRow)
def remove_deleted_users() -> Select[int]:
    """Remove deleted users who have neither votes nor posts left."""
    votes = exists(select(Vote.post_id).where(Vote.user_id == User.id))
    posts = exists(select(Post.id).where(Post.owner_id == User.id))
    is_deleted = User.id.in_(select(DeletedUser.user_id))
    return _remove(User, _places(User, BATCH).where(is_deleted, ~votes, ~posts))


@statement(BatchRow)
def remove_refresh_tokens() -> Select[int]:
    """Remove refresh tokens of ended sessions, and those that were used or expired a month ago."""
    is_ended = RefreshToken.session_id.in_(select(Session.id).where(Session.ended_at.is_not(None)))
    left_at = func.coalesce(RefreshToken.used_at, RefreshToken.created_at)
    return _remove(RefreshToken, _places(RefreshToken, BATCH).where(or_(is_ended, left_at < MONTH_AGO)))


@statement(BatchRow)
def remove_sessions() -> Select[int]:
    """Remove sessions that ended or were not renewed for a month, and that have no refresh tokens left."""
    has_tokens = exists(select(RefreshToken.hash).where(RefreshToken.session_id == Session.id))
    is_over = or_(Session.ended_at.is_not(None), Session.renewed_at < MONTH_AGO)
    return _remove(Session, _places(Session, BATCH).where(is_over, ~has_tokens))


@statement(BatchRow)
def remove_idempotency_keys() -> Select[int]:
    """Remove idempotency keys that are older than a day."""
    return _remove(IdempotencyKey, _places(IdempotencyKey, BATCH).where(IdempotencyKey.created_at <= DAY_AGO))


@statement(BatchRow)
def remove_login_attempts() -> Select[int]:
    """Remove login attempts that nothing touched for a day."""
    return _remove(LoginAttempts, _places(LoginAttempts, BATCH).where(LoginAttempts.touched_at < DAY_AGO))
