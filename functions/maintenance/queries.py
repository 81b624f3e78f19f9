"""The SQL of maintenance: each statement removes one batch of rows.

An index finds the rows, except in tables whose requests have no use for such an index: it would make each
request slower. These tables are read part by part, because all of one can take longer than a statement may.

A batch skips rows that are locked, and is small, so that a request waits only briefly for its rows. If the
database ends a batch early, for example at a time limit, the next batch continues.
"""

from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    and_,
    any_,
    cast,
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
from sqlalchemy.types import UserDefinedType

from common.models import (
    DeletedUser,
    IdempotencyKey,
    LoginAttempts,
    MailToken,
    Post,
    PostRank,
    RefreshToken,
    Session,
    User,
    Vote,
    VoteDelta,
)
from common.queries import DAY_AGO, MONTH_AGO
from common.statement import statement
from maintenance.rows import BatchRow, PartRow

BATCH: ColumnElement[int] = literal_column("1000")
# Removing a post removes its entries in six indexes.
POSTS_IN_A_BATCH: ColumnElement[int] = literal_column("200")
BLOCK_BYTES: ColumnElement[int] = literal_column("8192")
# About 10,000 rows.
BLOCKS_IN_A_PART: ColumnElement[int] = literal_column("128")


class RowId(UserDefinedType[str]):
    """PostgreSQL's type of `ctid`, the place of a row in the blocks of its table."""

    cache_ok = True

    def get_col_spec(self, **_options: object) -> str:
        """Return the name of the type."""
        return "tid"


def _row_ids(model: type[DeclarativeBase], limit: ColumnElement[int]) -> Select[Any]:
    """Select the row ids (`ctid`) of rows that are not locked; the caller adds the conditions."""
    return (
        select(_row_id(model).label("row_id"))
        .select_from(model)
        .limit(limit)
        .with_for_update(skip_locked=True, of=model)
    )


def _row_id(model: type[DeclarativeBase]) -> ColumnElement[Any]:
    return literal_column(f"{model.__tablename__}.ctid")


def _delete_cte(model: type[DeclarativeBase], row_ids: Select[Any], name: str) -> CTE:
    found = row_ids.cte(f"{name}_found")
    is_found = _row_id(model) == any_(func.array(select(*found.c).scalar_subquery()))
    return (
        delete(model).where(is_found).returning(literal_column("1").label("removed")).cte(f"{name}_removed")
    )


def _delete_statement(model: type[DeclarativeBase], row_ids: Select[Any]) -> Select[int]:
    """Return the statement that removes the rows with these ids and counts them."""
    removed = _delete_cte(model, row_ids, model.__tablename__)
    return select(func.count().label("removed")).select_from(removed)


def _end(part: int) -> ColumnElement[int]:
    return part * BLOCKS_IN_A_PART + BLOCKS_IN_A_PART


def _is_in_part(model: type[DeclarativeBase], part: int) -> ColumnElement[bool]:
    """Tell whether a row is in a part of its table."""
    first, end = (
        cast(func.format(literal_column("'(%s,0)'"), block), RowId())
        for block in (part * BLOCKS_IN_A_PART, _end(part))
    )
    return and_(_row_id(model) >= first, _row_id(model) < end)


def _is_last(model: type[DeclarativeBase], part: int) -> ColumnElement[bool]:
    """Tell whether a table ends in this part."""
    size = func.pg_relation_size(literal_column(f"'{model.__tablename__}'"))
    return (_end(part) * BLOCK_BYTES >= size).label("is_last")


@statement(BatchRow)
def remove_votes_of_deleted_users() -> Select[int]:
    """Remove votes that deleted users cast."""
    votes = _row_ids(Vote, BATCH).join(DeletedUser, DeletedUser.user_id == Vote.user_id)
    return _delete_statement(Vote, votes)


@statement(BatchRow)
def remove_deleted_posts() -> Select[int]:
    """Remove deleted posts and posts of deleted users, each after its last vote."""
    marked = select(Post.id).where(Post.deleted_at.is_not(None)).limit(POSTS_IN_A_BATCH)
    orphaned = select(Post.id).join(DeletedUser, DeletedUser.user_id == Post.owner_id).limit(POSTS_IN_A_BATCH)
    batch = union_all(marked, orphaned).cte("batch")
    votes = _row_ids(Vote, BATCH).join(batch, batch.c.id == Vote.post_id)
    has_votes = exists(select(Vote.user_id).where(Vote.post_id == Post.id))
    posts = _row_ids(Post, BATCH).where(Post.id.in_(select(batch.c.id)), ~has_votes)
    removed = union_all(
        select(_delete_cte(Vote, votes, "votes")), select(_delete_cte(Post, posts, "posts"))
    ).subquery()
    return select(func.count().label("removed")).select_from(removed)


@statement(BatchRow)
def fold_vote_deltas() -> Select[int]:
    """Add the deltas of posts to their counters, as the next vote on each would do, and remove them."""
    has_deltas = exists(select(VoteDelta.id).where(VoteDelta.post_id == PostRank.post_id))
    # A vote takes the same lock (FOR NO KEY UPDATE), so that no vote folds deltas of these posts meanwhile.
    counters = select(PostRank.post_id).where(has_deltas).limit(BATCH)
    locked = counters.with_for_update(skip_locked=True, key_share=True).cte("locked")
    row_ids = (
        select(_row_id(VoteDelta)).select_from(VoteDelta).join(locked, locked.c.post_id == VoteDelta.post_id)
    )
    is_found = _row_id(VoteDelta) == any_(func.array(row_ids.limit(BATCH).scalar_subquery()))
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
    return _delete_statement(User, _row_ids(User, BATCH).where(is_deleted, ~votes, ~posts))


@statement(PartRow)
def remove_refresh_tokens_of_ended_sessions(*, part: int) -> Select[*tuple[Any, ...]]:
    """Remove the refresh tokens of the ended sessions in a part of the sessions."""
    of_session = RefreshToken.session_id == Session.id
    tokens = _row_ids(RefreshToken, BATCH).join(Session, of_session)
    ended = tokens.where(_is_in_part(Session, part), Session.ended_at.is_not(None))
    return _delete_statement(RefreshToken, ended).add_columns(_is_last(Session, part))


@statement(PartRow)
def remove_refresh_tokens(*, part: int) -> Select[*tuple[Any, ...]]:
    """Remove the refresh tokens in a part of the table that were used or expired a month ago."""
    # A refresh token is valid for a month, and its reuse is detected for as long.
    left_at = func.coalesce(RefreshToken.used_at, RefreshToken.created_at)
    tokens = _row_ids(RefreshToken, BATCH).where(_is_in_part(RefreshToken, part), left_at < MONTH_AGO)
    return _delete_statement(RefreshToken, tokens).add_columns(_is_last(RefreshToken, part))


@statement(PartRow)
def remove_sessions(*, part: int) -> Select[*tuple[Any, ...]]:
    """Remove the sessions in a part that ended or were not renewed for a month, and have no tokens left."""
    has_tokens = exists(select(RefreshToken.hash).where(RefreshToken.session_id == Session.id))
    is_over = or_(Session.ended_at.is_not(None), Session.renewed_at < MONTH_AGO)
    sessions = _row_ids(Session, BATCH).where(_is_in_part(Session, part), is_over, ~has_tokens)
    return _delete_statement(Session, sessions).add_columns(_is_last(Session, part))


@statement(PartRow)
def remove_idempotency_keys(*, part: int) -> Select[*tuple[Any, ...]]:
    """Remove the idempotency keys in a part of the table that are older than a day."""
    is_old = IdempotencyKey.created_at <= DAY_AGO
    keys = _row_ids(IdempotencyKey, BATCH).where(_is_in_part(IdempotencyKey, part), is_old)
    return _delete_statement(IdempotencyKey, keys).add_columns(_is_last(IdempotencyKey, part))


@statement(BatchRow)
def remove_login_attempts() -> Select[int]:
    """Remove login attempts that did not change for a day."""
    return _delete_statement(
        LoginAttempts, _row_ids(LoginAttempts, BATCH).where(LoginAttempts.touched_at < DAY_AGO)
    )


@statement(BatchRow)
def remove_mail_tokens() -> Select[int]:
    """Remove tokens of mails that have expired."""
    return _delete_statement(MailToken, _row_ids(MailToken, BATCH).where(MailToken.expires_at <= func.now()))
