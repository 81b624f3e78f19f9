"""The SQL of sessions, a statement a function."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, exists, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from auth.rows import SessionRow, UserRow
from common.models import RefreshToken, Session, User
from common.queries import SWEEP_LIMIT, clear_login_failures, sha256
from common.statement import statement

MONTH_AGO: ColumnElement[Any] = literal_column("now() - interval '30 days'")
# A used token is good for this long again: the answer to its first use may have been lost on the way.
GRACE_AGO: ColumnElement[Any] = literal_column("now() - interval '30 seconds'")


@statement(SessionRow)
def open_session(*, user_id: int, verified_hash: str, token_hash: str) -> Select[*tuple[Any, ...]]:
    """Open a session of a user whose password hash is still the one seen; no row when it is not."""
    user = select(User.id, sha256(User.password)).where(User.id == user_id, User.password == verified_hash)
    session = (
        insert(Session)
        .from_select(["user_id", "password_digest"], user)
        .returning(Session.id, Session.user_id)
        .cte("session")
    )
    hash_of: Any = token_hash
    token = insert(RefreshToken).from_select(["hash", "session_id"], select(hash_of, session.c.id))
    abandoned = delete(Session).where(Session.user_id == user_id, Session.renewed_at < MONTH_AGO)
    return (
        select(session.c.id, session.c.user_id)
        .add_cte(token.cte("token"))
        .add_cte(clear_login_failures(user_id).cte("cleared_failures"))
        .add_cte(abandoned.cte("abandoned"))
    )


@statement(SessionRow)
def renew_session(*, token_hash: str, next_hash: str) -> Select[*tuple[Any, ...]]:
    """Trade a refresh token for the next; no row when it is unusable.

    A token that was used before, other than just now, has been stolen from somebody: its session ends.
    A session is of no more use when the user's password is another than the one that it is good for: a change
    of the password ends the other sessions, but cannot see one that a login opens beside it.
    Of what the session has left behind, a little goes with each renewal.
    """
    presented = select(RefreshToken).where(RefreshToken.hash == token_hash).cte("presented")
    unused = or_(presented.c.used_at.is_(None), presented.c.used_at > GRACE_AGO)
    # One from before there were digests stays good: to refuse it would log out all users with the deployment,
    # and it was there to be seen, and ended, by whoever has changed the password since.
    is_good = or_(Session.password_digest.is_(None), Session.password_digest == sha256(User.password))
    # Session and password are compared as they were together at one moment. The update sees the newest
    # session but perhaps an older password: compared there, the one that changes it would be refused.
    usable = (
        select(presented.c.session_id)
        .join(Session, Session.id == presented.c.session_id)
        .join(User, User.id == Session.user_id)
        .where(unused, presented.c.created_at > MONTH_AGO, is_good)
        .cte("usable")
    )
    stolen = select(presented.c.session_id).where(presented.c.used_at <= GRACE_AGO)

    used = update(RefreshToken).values(used_at=func.now())
    used = used.where(RefreshToken.hash == token_hash, RefreshToken.used_at.is_(None), exists(select(usable)))
    session = (
        update(Session)
        .values(renewed_at=func.now())
        .where(Session.id == usable.c.session_id)
        .returning(Session.id, Session.user_id)
        .cte("session")
    )
    hash_of: Any = next_hash
    token = insert(RefreshToken).from_select(["hash", "session_id"], select(hash_of, session.c.id))
    # A month from its use, for as long it shall be known when it returns. It is looked for in what the update
    # returns, so that two renewals of a session, which wait for one another there, want no token at once.
    left_at = func.coalesce(RefreshToken.used_at, RefreshToken.created_at)
    old = select(RefreshToken.hash).join(session, session.c.id == RefreshToken.session_id)
    old = old.where(left_at < MONTH_AGO).limit(SWEEP_LIMIT)
    return (
        select(session.c.id, session.c.user_id)
        .add_cte(used.cte("used"))
        .add_cte(token.cte("token"))
        .add_cte(delete(RefreshToken).where(RefreshToken.hash.in_(old)).cte("swept"))
        .add_cte(delete(Session).where(Session.id.in_(stolen)).cte("ended"))
    )


@statement(UserRow)
def end_session(*, user_id: int, session_id: UUID) -> Select[int]:
    """End a session of a user; no row when the user has gone."""
    ended = delete(Session).where(Session.id == session_id, Session.user_id == user_id)
    return select(User.id).where(User.id == user_id).add_cte(ended.cte("ended"))


@statement(UserRow)
def end_sessions(*, user_id: int) -> Select[int]:
    """End all sessions of a user; no row when the user has gone."""
    ended = delete(Session).where(Session.user_id == user_id)
    return select(User.id).where(User.id == user_id).add_cte(ended.cte("ended"))
