"""The SQL of sessions."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, exists, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from auth.rows import SessionRow, UserRow
from common.models import RefreshToken, Session, User
from common.queries import SWEEP_LIMIT, clear_login_failures, sha256
from common.statement import statement

MONTH_AGO: ColumnElement[Any] = literal_column("now() - interval '30 days'")
# The grace period: a used token works again, because the response to its first use may have been lost.
GRACE_PERIOD_AGO: ColumnElement[Any] = literal_column("now() - interval '30 seconds'")


@statement(SessionRow)
def open_session(*, user_id: int, verified_hash: str, token_hash: str) -> Select[*tuple[Any, ...]]:
    """Open a session; no row if the user's password hash is not `verified_hash` any more."""
    user = select(User.id, sha256(User.password)).where(User.id == user_id, User.password == verified_hash)
    session = (
        insert(Session)
        .from_select(["user_id", "password_digest"], user)
        .returning(Session.id, Session.user_id)
        .cte("session")
    )
    new_token_hash: Any = token_hash
    token = insert(RefreshToken).from_select(["hash", "session_id"], select(new_token_hash, session.c.id))
    abandoned = delete(Session).where(Session.user_id == user_id, Session.renewed_at < MONTH_AGO)
    return (
        select(session.c.id, session.c.user_id)
        .add_cte(token.cte("token"))
        .add_cte(clear_login_failures(user_id).cte("cleared_failures"))
        .add_cte(abandoned.cte("abandoned"))
    )


@statement(SessionRow)
def renew_session(*, token_hash: str, next_hash: str) -> Select[*tuple[Any, ...]]:
    """Exchange a refresh token for the next one; no row if the token is not valid.

    - Reuse detection: a token that was used before the grace period has been stolen, so its session ends.
    - A session is refused if the password was changed since it was opened. A change of the password ends the
      other sessions, but it cannot see a session that a concurrent login is about to open.
    - Each renewal deletes a few old tokens of its session.
    """
    presented = select(RefreshToken).where(RefreshToken.hash == token_hash).cte("presented")
    unused = or_(presented.c.used_at.is_(None), presented.c.used_at > GRACE_PERIOD_AGO)
    # Sessions from before the column `password_digest` stay valid: refusing them would log out all users with
    # the deployment. They existed long enough for a change of the password to see and end them.
    password_unchanged = or_(
        Session.password_digest.is_(None), Session.password_digest == sha256(User.password)
    )
    # Compare session and password in this SELECT, which reads both from one snapshot. The UPDATE below waits
    # for concurrent updates; it then sees the newest session but perhaps an older password. Compared there,
    # the session that changes the password would be refused.
    usable = (
        select(presented.c.session_id)
        .join(Session, Session.id == presented.c.session_id)
        .join(User, User.id == Session.user_id)
        .where(unused, presented.c.created_at > MONTH_AGO, password_unchanged)
        .cte("usable")
    )
    stolen = select(presented.c.session_id).where(presented.c.used_at <= GRACE_PERIOD_AGO)

    used = update(RefreshToken).values(used_at=func.now())
    used = used.where(RefreshToken.hash == token_hash, RefreshToken.used_at.is_(None), exists(select(usable)))
    session = (
        update(Session)
        .values(renewed_at=func.now())
        .where(Session.id == usable.c.session_id)
        .returning(Session.id, Session.user_id)
        .cte("session")
    )
    new_token_hash: Any = next_hash
    token = insert(RefreshToken).from_select(["hash", "session_id"], select(new_token_hash, session.c.id))
    # Used tokens are kept for a month, for reuse detection. Because of the join with the updated session,
    # concurrent renewals of a session wait for each other and do not delete the same tokens.
    last_needed_at = func.coalesce(RefreshToken.used_at, RefreshToken.created_at)
    old = select(RefreshToken.hash).join(session, session.c.id == RefreshToken.session_id)
    old = old.where(last_needed_at < MONTH_AGO).limit(SWEEP_LIMIT)
    return (
        select(session.c.id, session.c.user_id)
        .add_cte(used.cte("used"))
        .add_cte(token.cte("token"))
        .add_cte(delete(RefreshToken).where(RefreshToken.hash.in_(old)).cte("swept"))
        .add_cte(delete(Session).where(Session.id.in_(stolen)).cte("ended"))
    )


@statement(UserRow)
def end_session(*, user_id: int, session_id: UUID) -> Select[int]:
    """End a session of a user; no row if the user does not exist."""
    ended = delete(Session).where(Session.id == session_id, Session.user_id == user_id)
    return select(User.id).where(User.id == user_id).add_cte(ended.cte("ended"))


@statement(UserRow)
def end_sessions(*, user_id: int) -> Select[int]:
    """End all sessions of a user; no row if the user does not exist."""
    ended = delete(Session).where(Session.user_id == user_id)
    return select(User.id).where(User.id == user_id).add_cte(ended.cte("ended"))
