"""The SQL of tokens in links of mails, and of the addresses to which they belong (`common.models.MailToken`).

The statements that change a user and their tokens lock the user first. So no two of them wait for each other.
"""

from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Select,
    String,
    and_,
    exists,
    func,
    literal_column,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.sql.elements import SQLCoreOperations

from common.models import MailToken, User
from common.queries import BLANK, HOUR, NOW, ONE, Text, sha256

RESET: Final[ColumnElement[str]] = literal_column("'reset'", String)
VERIFICATION: Final[ColumnElement[str]] = literal_column("'verification'", String)
REVERT: Final[ColumnElement[str]] = literal_column("'revert'", String)
TWENTY_FOUR_HOURS: ColumnElement[Any] = literal_column("interval '24 hours'")
RESET_SLOTS: ColumnElement[Any] = func.generate_series(ONE, literal_column("3"))


def account_digest(email: Text, password: Text) -> ColumnElement[bytes]:
    """Return the digest to which a token is bound, of the address and the password hash of its user.

    Every change of one of them ends the token, whatever makes the change.
    """
    # A password hash contains no blank.
    return sha256(func.concat(password, BLANK, email))


def is_live(digest: ColumnElement[bytes]) -> ColumnElement[bool]:
    """Tell whether a token has not expired, and is bound to the account with this digest."""
    return and_(MailToken.expires_at > NOW, MailToken.account_digest == digest)


def pending_change(
    user_id: SQLCoreOperations[int], email: SQLCoreOperations[str], digest: ColumnElement[bytes]
) -> Select[str, str]:
    """Select the address to which the e-mail of a user will change when it is verified.

    `email` is the present e-mail of the user, and `digest` the one of their account.
    """
    return select(MailToken.email, MailToken.lower_case_email).where(
        MailToken.user_id == user_id,
        MailToken.purpose == VERIFICATION,
        is_live(digest),
        MailToken.email != email,
    )


def pending_email() -> ColumnElement[str]:
    """Return the column `pending_email` of a user: the address of `pending_change`, or NULL."""
    pending = pending_change(User.id, User.email, account_digest(User.email, User.password))
    email = pending.with_only_columns(MailToken.email).correlate(User)
    return email.scalar_subquery().label("pending_email")


def is_taken(lower_case_email: Text, user_id: SQLCoreOperations[int] | int) -> ColumnElement[bool]:
    """Tell whether another user has an address, or had it and may still revert to it."""
    other = aliased(User)
    may_revert = select(MailToken.user_id).where(
        MailToken.purpose == REVERT,
        MailToken.lower_case_email == lower_case_email,
        MailToken.expires_at > NOW,
        MailToken.user_id != user_id,
    )
    return or_(
        exists(select(other.id).where(other.lower_case_email == lower_case_email, other.id != user_id)),
        exists(may_revert),
    )


def reset_slot(user: CTE) -> ColumnElement[int]:
    """Return the first slot without a working reset token of a user, or NULL.

    `user` is a row with `user_id` and `account_digest`.
    """
    slots = RESET_SLOTS.column_valued("candidate")
    used = exists(
        select(MailToken.slot).where(
            MailToken.user_id == user.c.user_id,
            MailToken.purpose == RESET,
            MailToken.slot == slots,
            is_live(user.c.account_digest),
        )
    )
    return select(func.min(slots)).where(~used).scalar_subquery()


def add_token(
    purpose: ColumnElement[str], bound_to: FromClause, token_hash: Text, *conditions: ColumnElement[bool]
) -> ReturningInsert[int, str]:
    """Return the statement that adds a token, and returns the user's id and the address if it is added.

    A new verification replaces an earlier one. A reset or a revert only replaces one that does not work any
    more, so that nobody can take a working token from the user by requesting another one.

    Args:
        purpose: RESET, VERIFICATION or REVERT.
        bound_to: Rows with `user_id`, `email`, `lower_case_email`, `account_digest`, and for a reset `slot`.
        token_hash: The hash of the token.
        conditions: If one is false, no token is added.

    """
    slot = bound_to.c.slot if purpose is RESET else ONE
    hash_of: Any = token_hash
    lifetime = HOUR if purpose is RESET else TWENTY_FOUR_HOURS
    new = insert(MailToken).from_select(
        [
            "user_id",
            "purpose",
            "slot",
            "hash",
            "email",
            "lower_case_email",
            "account_digest",
            "expires_at",
        ],
        select(
            bound_to.c.user_id,
            purpose,
            slot,
            type_coerce(hash_of, String),
            bound_to.c.email,
            bound_to.c.lower_case_email,
            bound_to.c.account_digest,
            NOW + lifetime,
        ).where(*conditions),
    )
    works = [MailToken.expires_at > NOW]
    if purpose is RESET:
        works.append(MailToken.account_digest == new.excluded.account_digest)
    return new.on_conflict_do_update(
        index_elements=[MailToken.user_id, MailToken.purpose, MailToken.slot],
        set_={
            "hash": new.excluded.hash,
            "email": new.excluded.email,
            "lower_case_email": new.excluded.lower_case_email,
            "account_digest": new.excluded.account_digest,
            "expires_at": new.excluded.expires_at,
        },
        where=None if purpose is VERIFICATION else ~and_(*works),
    ).returning(MailToken.user_id, MailToken.email)
