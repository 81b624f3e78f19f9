"""The SQL of verified addresses."""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    case,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    true,
    update,
)

from auth.rows import ConfirmedRow, VerificationRow
from common.mail_tokens import REVERT, VERIFICATION, account_digest, add_token, is_taken, pending_change
from common.models import MailToken, Session, User
from common.principal import Principal
from common.queries import NOW, is_verified, valid_principal
from common.quotas import use_quota
from common.statement import statement

# A bcrypt hash begins with 29 characters: version, cost and salt. No password is known whose hash ends so.
SALT_LENGTH: ColumnElement[int] = literal_column("29")
NO_PASSWORD: ColumnElement[str] = literal_column("repeat('.', 31)", String)


@statement(VerificationRow)
def request_verification(principal: Principal, *, token_hash: str, per_day: int) -> Select[*tuple[Any, ...]]:
    """Add a token that verifies the pending address, or else the address of a user; it replaces the last one.

    No row if the token of the principal is no longer valid. No token is added if there is nothing to verify.

    The rows of the user and of a pending change are locked, in this order. So this statement does not renew a
    change that a simultaneous statement ends.
    """
    caller = valid_principal(principal)
    user = (
        select(
            User.id,
            User.email,
            User.lower_case_email,
            account_digest(User.email, User.password).label("account_digest"),
            is_verified().label("is_verified"),
        )
        .join(caller, caller.c.id == User.id)
        # Check again, because the account may have been deleted while this statement waited for its row.
        .where(User.deleted_at.is_(None))
        .with_for_update(of=User)
        .cte("locked_user")
    )
    pending = (
        pending_change(user.c.id, user.c.email, user.c.account_digest)
        .with_for_update(of=MailToken)
        .cte("pending")
    )
    bound_to = (
        select(
            user.c.id.label("user_id"),
            func.coalesce(pending.c.email, user.c.email).label("email"),
            func.coalesce(pending.c.lower_case_email, user.c.lower_case_email).label("lower_case_email"),
            user.c.account_digest,
        )
        .outerjoin(pending, true())
        .where(or_(pending.c.email.is_not(None), ~user.c.is_verified))
        .cte("bound_to")
    )
    quota = use_quota(user, "verification mails", per_day, exists(select(bound_to.c.user_id)))
    is_allowed = exists(select(quota.allowed.c.user_id))
    token = add_token(VERIFICATION, bound_to, token_hash, is_allowed).cte("token")
    return select(
        select(token.c.email).scalar_subquery().label("email"),
        exists(select(pending.c.email)).label("is_pending"),
        quota.retry_after_seconds,
    ).select_from(user)


@statement(ConfirmedRow)
def confirm_address(*, token_hash: str, revert_hash: str) -> Select[*tuple[Any, ...]]:
    """Use a token: verify the address of a user, change it to a verified one, or revert such a change.

    A change adds a token with the hash `revert_hash`, which reverts it, unless an earlier one still works. So
    an attacker who changes the address again cannot take the first address its token.

    A revert ends all sessions and makes the password unusable, because the one who changed the address knew
    it. All other tokens end, because they are bound to that password. The token works regardless of the
    password, which may be a new one by then.

    No row if the token is not usable. Nothing is changed if another user has the address.

    The rows of the user and of the token are locked, in this order. A simultaneous statement with this token
    continues afterwards, and finds that the token does not exist any more.
    """
    is_revert = MailToken.purpose == REVERT
    token = (
        select(
            User.id,
            User.email.label("previous_email"),
            User.lower_case_email.label("previous_lower_case_email"),
            MailToken.email,
            MailToken.lower_case_email,
            MailToken.account_digest,
            is_revert.label("is_revert"),
        )
        .join(MailToken, MailToken.user_id == User.id)
        .where(
            MailToken.hash == token_hash,
            or_(MailToken.purpose == VERIFICATION, is_revert),
            MailToken.expires_at > NOW,
            or_(is_revert, MailToken.account_digest == account_digest(User.email, User.password)),
            User.deleted_at.is_(None),
        )
        .with_for_update()
        .cte("presented")
    )
    free = select(token).where(~is_taken(token.c.lower_case_email, token.c.id)).cte("free")
    no_password = func.concat(func.left(User.password, SALT_LENGTH), NO_PASSWORD)
    changed = (
        update(User)
        .where(User.id == free.c.id)
        .values(
            email=free.c.email,
            lower_case_email=free.c.lower_case_email,
            verified_email=free.c.email,
            password=case((free.c.is_revert, no_password), else_=User.password),
        )
        .returning(User.id, free.c.is_revert)
        .cte("changed")
    )
    used = delete(MailToken).where(MailToken.user_id == changed.c.id, MailToken.hash == token_hash)
    ended = update(Session).where(
        Session.user_id == changed.c.id, changed.c.is_revert, Session.ended_at.is_(None)
    )
    previous = (
        select(
            token.c.id.label("user_id"),
            token.c.previous_email.label("email"),
            token.c.previous_lower_case_email.label("lower_case_email"),
            # A token that reverts is not bound to it.
            token.c.account_digest,
        )
        .where(exists(select(changed.c.id)), ~token.c.is_revert, token.c.previous_email != token.c.email)
        .cte("previous")
    )
    revert = add_token(REVERT, previous, revert_hash).cte("revert")
    return (
        select(
            token.c.email,
            token.c.previous_email,
            token.c.is_revert,
            (~exists(select(changed.c.id))).label("is_taken"),
            exists(select(revert.c.user_id)).label("can_revert"),
        )
        .add_cte(used.cte("used"))
        .add_cte(ended.values(ended_at=NOW).cte("ended_sessions"))
    )
