"""The SQL of forgotten passwords."""

from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    Select,
    String,
    case,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from auth.rows import RecoveredRow, ResetRow, TokenRow
from common.mail_tokens import RESET, REVERT, account_digest, add_token, is_live, reset_slot
from common.models import LoginAttempts, MailToken, Session, User
from common.queries import HOUR, NOW, ONE, forget_login_failures, seconds_to, sha256
from common.statement import statement

# Of one client address in an hour.
MAX_REQUESTS: ColumnElement[int] = literal_column("30")
DIGEST: ColumnElement[bytes] = account_digest(User.email, User.password)


def _count_request(client: str, action: str) -> tuple[CTE, ColumnElement[int]]:
    """Count a request of a client address, unless it has sent `MAX_REQUESTS` of them within an hour.

    Return a CTE that has a row if the request is allowed, and the time until the next one is, or NULL.
    """
    key = sha256(func.concat(literal_column(f"'{action} '", String), client))
    new = insert(LoginAttempts).from_select(
        ["key", "failures", "forgotten_at", "touched_at"], select(key, ONE, NOW + HOUR, NOW)
    )
    is_over = LoginAttempts.forgotten_at <= NOW
    counted = (
        new.on_conflict_do_update(
            index_elements=[LoginAttempts.key],
            set_={
                "failures": case((is_over, ONE), else_=LoginAttempts.failures + ONE),
                "forgotten_at": case((is_over, new.excluded.forgotten_at), else_=LoginAttempts.forgotten_at),
                "touched_at": new.excluded.touched_at,
            },
            where=or_(is_over, LoginAttempts.failures < MAX_REQUESTS),
        )
        .returning(LoginAttempts.key)
        .cte("counted")
    )
    ends_in = select(seconds_to(LoginAttempts.forgotten_at)).where(LoginAttempts.key == key).scalar_subquery()
    wait = func.greatest(ends_in, ONE, type_=Integer)
    return counted, case((~exists(select(counted.c.key)), wait))


@statement(ResetRow)
def request_reset(*, account: str, client: str, token_hash: str) -> Select[*tuple[Any, ...]]:
    """Add a token for a new password, unless there is no such account or it has three tokens that work.

    `account` is the address in lower case, and `client` the address of the client, whose requests we limit.
    """
    counted, retry_after = _count_request(client, "password reset")
    user = (
        select(User.id.label("user_id"), User.email, User.lower_case_email, DIGEST.label("account_digest"))
        .where(User.lower_case_email == account, User.deleted_at.is_(None), exists(select(counted.c.key)))
        .cte("user_of_account")
    )
    bound_to = select(*user.c, reset_slot(user).label("slot")).cte("bound_to")
    token = add_token(RESET, bound_to, token_hash, bound_to.c.slot.is_not(None)).cte("token")
    return select(
        select(token.c.email).scalar_subquery().label("email"), retry_after.label("retry_after_seconds")
    )


@statement(TokenRow)
def discard_token(*, token_hash: str) -> Select[int]:
    """Remove a token whose mail could not be sent, so that its user can request another one."""
    removed = delete(MailToken).where(MailToken.hash == token_hash).returning(MailToken.user_id)
    return select(removed.cte("removed").c.user_id)


def _resettable(token_hash: str) -> Select[*tuple[Any, ...]]:
    """Select the user whose password a token may reset."""
    return (
        select(User.id, User.email, User.lower_case_email)
        .join(MailToken, MailToken.user_id == User.id)
        .where(
            MailToken.hash == token_hash,
            MailToken.purpose == RESET,
            is_live(DIGEST),
            User.deleted_at.is_(None),
        )
    )


@statement(ResetRow)
def check_reset(*, token_hash: str, client: str) -> Select[*tuple[Any, ...]]:
    """Return the address of the user whose password a token may reset, if there is one.

    The requests of the client are limited, because each one with a usable token hashes a password.
    """
    _, retry_after = _count_request(client, "new password")
    user = _resettable(token_hash).cte("user_of_token")
    return select(
        select(user.c.email).scalar_subquery().label("email"), retry_after.label("retry_after_seconds")
    )


@statement(RecoveredRow)
def reset_password(*, token_hash: str, client: str, password: str) -> Select[*tuple[Any, ...]]:
    """Set a new password and end all sessions; no row if the token is not usable any more.

    The rows of the user and of the token are locked, in this order. A simultaneous statement with a token of
    the same user continues afterwards, and finds that the token is bound to the previous password.
    """
    user = _resettable(token_hash).with_for_update(key_share=True).cte("user_of_token")
    changed = (
        update(User)
        .where(User.id == user.c.id)
        .values(password=password, verified_email=User.email)
        .returning(User.id, User.email, User.lower_case_email)
        .cte("changed")
    )
    ended = update(Session).where(Session.user_id == changed.c.id, Session.ended_at.is_(None))
    tokens = delete(MailToken).where(MailToken.user_id == changed.c.id, MailToken.purpose != REVERT)
    return (
        select(changed.c.id, changed.c.email)
        .add_cte(ended.values(ended_at=NOW).cte("ended_sessions"))
        .add_cte(tokens.cte("used_tokens"))
        .add_cte(forget_login_failures(changed, client).cte("cleared_failures"))
    )
