"""The SQL of sessions."""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Uuid,
    any_,
    case,
    cast,
    exists,
    func,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from auth.rows import RenewedRow, SessionRow, UserRow
from common.models import RefreshToken, Session, User
from common.principal import Principal
from common.queries import (
    BLANK,
    MAX_SESSIONS,
    MONTH_AGO,
    NOW,
    ONE,
    clear_login_failures,
    has_verified_password,
    sha256,
    valid_principal,
)
from common.quotas import use_quota
from common.rows import Attempt
from common.statement import statement

# A used token still works for this long, because the response to its first use may have been lost.
GRACE_PERIOD: ColumnElement[Any] = literal_column("interval '30 seconds'")


@statement(SessionRow)
def open_session(
    attempt: Attempt, *, user_id: int, verified_hash: str, token_hash: str, user_agent: str | None
) -> Select[*tuple[Any, ...]]:
    """Open a session; no row if the user's password hash is not `verified_hash` any more."""
    agent: Any = user_agent
    user = select(User.id, sha256(User.password), agent).where(
        User.id == user_id, User.password == verified_hash
    )
    session = (
        insert(Session)
        .from_select(["user_id", "password_digest", "user_agent"], user)
        .returning(Session.id, Session.user_id)
        .cte("session")
    )
    hash_of: Any = token_hash
    token = insert(RefreshToken).from_select(["hash", "session_id"], select(hash_of, session.c.id))
    surplus = (
        select(Session.id)
        .where(Session.user_id == user_id, Session.ended_at.is_(None))
        .order_by(Session.renewed_at.desc())
        .offset(MAX_SESSIONS - ONE)
    )
    ended = update(Session).values(ended_at=NOW).where(Session.id.in_(surplus))
    return (
        select(session.c.id, session.c.user_id)
        .add_cte(token.cte("token"))
        .add_cte(clear_login_failures(attempt).cte("cleared_failures"))
        .add_cte(ended.cte("ended_sessions"))
    )


@statement(RenewedRow)
def renew_session(*, token_hash: str, successor_hashes: str, per_day: int) -> Select[*tuple[Any, ...]]:
    """Exchange a refresh token for its successor; no row if the token is not valid.

    A token that is used again within the grace period gets the same successor, as long as the successor is
    unused. Every other reuse means that two clients have the token, so it ends the session (reuse detection).

    A session is refused if the password was changed since it was opened. The change ended the sessions that
    it could see, but not a session that a concurrent login was about to open.

    Args:
        token_hash: The hash of the token.
        successor_hashes: The hashes of the successors of the token, one for each key of the ring, separated
            by blanks. The first one belongs to the signing key.
        per_day: How often a day the user may renew sessions. A token that this quota refuses stays valid.

    """
    candidates = func.string_to_array(successor_hashes, BLANK)
    presented = select(RefreshToken).where(RefreshToken.hash == token_hash).cte("presented")
    # The successors are derived from the token, so that no other session can have one of them.
    unused_successor = (
        select(RefreshToken.hash)
        .where(RefreshToken.hash == any_(candidates), RefreshToken.used_at.is_(None))
        .scalar_subquery()
    )
    successor = select(
        presented.c.session_id,
        case(
            (presented.c.used_at.is_(None), func.split_part(successor_hashes, BLANK, ONE)),
            (presented.c.used_at > NOW - GRACE_PERIOD, unused_successor),
        ).label("hash"),
        (presented.c.created_at > MONTH_AGO).label("is_recent"),
    ).cte("successor")
    # Compare session and password in this SELECT, which reads both from one snapshot. The UPDATE below waits
    # for concurrent updates; it then sees the newest session but perhaps an older password. If the UPDATE
    # compared them, it would refuse the session that changes the password.
    usable = (
        select(successor, User.id)
        .join(Session, Session.id == successor.c.session_id)
        .join(User, User.id == Session.user_id)
        .where(successor.c.hash.is_not(None), successor.c.is_recent)
        .where(Session.ended_at.is_(None), User.deleted_at.is_(None))
        .where(has_verified_password())
        .cte("usable")
    )
    quota = use_quota(usable, "refreshes", per_day)
    is_allowed = exists(select(quota.allowed.c.user_id))
    used = update(RefreshToken).values(used_at=NOW)
    used = used.where(RefreshToken.hash == token_hash, RefreshToken.used_at.is_(None), is_allowed)
    added = insert(RefreshToken).from_select(
        ["hash", "session_id"],
        select(usable.c.hash, usable.c.session_id).where(is_allowed),
    )
    renewed = (
        update(Session)
        .values(renewed_at=NOW)
        # Check again, because the session may have ended while this statement waited for its row.
        .where(Session.id == usable.c.session_id, Session.ended_at.is_(None), is_allowed)
        .returning(Session.id)
        .cte("renewed")
    )
    reused = select(successor.c.session_id).where(successor.c.hash.is_(None))
    ended = update(Session).values(ended_at=NOW).where(Session.id.in_(reused), Session.ended_at.is_(None))
    return (
        select(
            renewed.c.id,
            usable.c.id.label("user_id"),
            usable.c.hash.label("token_hash"),
            quota.retry_after_seconds,
        )
        .select_from(usable)
        .outerjoin(renewed, true())
        .add_cte(used.cte("used"))
        # An earlier or simultaneous use of the same token may have added the same successor.
        .add_cte(added.on_conflict_do_nothing().cte("added"))
        .add_cte(ended.cte("ended"))
    )


@statement(UserRow)
def end_session(principal: Principal) -> Select[int]:
    """End the session of a token; no row if the token is no longer valid."""
    caller = valid_principal(principal)
    ended = update(Session).values(ended_at=NOW)
    ended = ended.where(Session.id == cast(principal.session_id, Uuid()), Session.user_id == caller.c.id)
    return select(caller.c.id).add_cte(ended.cte("ended"))


@statement(UserRow)
def end_sessions(principal: Principal) -> Select[int]:
    """End all sessions of a user; no row if the token is no longer valid."""
    caller = valid_principal(principal)
    ended = update(Session).values(ended_at=NOW)
    ended = ended.where(Session.user_id == caller.c.id, Session.ended_at.is_(None))
    return select(caller.c.id).add_cte(ended.cte("ended"))
