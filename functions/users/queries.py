"""The SQL of users."""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Select,
    String,
    Uuid,
    case,
    delete,
    false,
    literal_column,
    null,
    select,
    true,
    update,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import insert

from common.mail_tokens import VERIFICATION, account_digest, add_token, is_taken, pending_email
from common.models import DeletedUser, MailToken, Session, User
from common.principal import Principal
from common.queries import (
    MAX_SESSIONS,
    MONTH_AGO,
    NOW,
    ZERO,
    clear_login_failures,
    has_verified_password,
    is_verified,
    sha256,
    valid_principal,
)
from common.quotas import Quota, use_quota
from common.rows import Attempt
from common.statement import statement
from users.rows import (
    AccountChangeRow,
    AccountRow,
    Address,
    EmailChange,
    EndedSessionRow,
    SessionRow,
    UserRow,
)

USER_COLUMNS = (User.id, User.email, User.created_at)
ACCOUNT_COLUMNS = (
    *USER_COLUMNS,
    User.phone_number,
    is_verified().label("verified"),
    pending_email(),
)

AccountSelect = Select[*tuple[Any, ...]]


@statement(UserRow)
def create(address: Address, *, password: str, token_hash: str | None) -> Select[*tuple[Any, ...]]:
    """Insert a user; no row if the e-mail is taken, regardless of letter case.

    An e-mail that its user gives up while this statement runs counts as taken. Otherwise an attacker could
    change the address of an account and take the old one at once, so that its owner cannot revert the change.

    `token_hash` is the hash of the token that verifies the e-mail, or None if no mail is sent.
    """
    written: tuple[Any, ...] = (address.email, address.lower_case_email, password)
    new = insert(User).from_select(
        ["email", "lower_case_email", "password"],
        select(*written).where(~is_taken(address.lower_case_email, ZERO)),
    )
    created = (
        new.on_conflict_do_nothing()
        .returning(*USER_COLUMNS, User.lower_case_email, User.password)
        .cte("created")
    )
    hash_of: Any = token_hash
    bound_to = select(
        created.c.id.label("user_id"),
        created.c.email,
        created.c.lower_case_email,
        account_digest(created.c.email, created.c.password).label("account_digest"),
    )
    token = add_token(VERIFICATION, bound_to.subquery(), hash_of, hash_of.is_not(None))
    return select(created.c.id, created.c.email, created.c.created_at).add_cte(token.cte("token"))


@statement(UserRow)
def read(*, user_id: int) -> Select[*tuple[Any, ...]]:
    """Read the public fields of a user."""
    return select(*USER_COLUMNS).where(User.id == user_id, User.deleted_at.is_(None))


@statement(AccountRow)
def account(principal: Principal) -> Select[*tuple[Any, ...]]:
    """Read the principal's account; no row if the token is no longer valid."""
    caller = valid_principal(principal)
    return select(*ACCOUNT_COLUMNS).join(caller, caller.c.id == User.id)


def _quota(caller: CTE, per_day: int) -> Quota:
    return use_quota(caller, "profile changes", per_day)


def _phone_number(change: EmailChange) -> ColumnElement[str | None]:
    keeps: Any = change.keep_phone_number
    return case((keeps, User.phone_number), else_=change.phone_number)


def _change(
    caller: CTE, changed: FromClause, email_taken: ColumnElement[bool], quota: Quota
) -> AccountSelect:
    """Return the fields of AccountChangeRow."""
    return (
        select(email_taken.label("email_taken"), *changed.c, quota.retry_after_seconds)
        .select_from(caller)
        .outerjoin(changed, true())
    )


@statement(AccountChangeRow)
def change_phone_number(principal: Principal, *, phone_number: str | None, per_day: int) -> AccountSelect:
    """Change a user's phone number; no row if the token is no longer valid."""
    caller = valid_principal(principal)
    quota = _quota(caller, per_day)
    # Check again, because the account may have been deleted while this statement waited for its row.
    changed = update(User).where(User.id == quota.allowed.c.user_id, User.deleted_at.is_(None))
    changed = changed.values(phone_number=phone_number)
    return _change(caller, changed.returning(*ACCOUNT_COLUMNS).cte("changed"), false(), quota)


@statement(AccountChangeRow)
def change_email(
    principal: Principal,
    attempt: Attempt,
    change: EmailChange,
    *,
    per_day: int,
) -> AccountSelect:
    """Change a user's e-mail, and their phone number.

    No row if the token is no longer valid. Nothing is changed if the e-mail is taken or if the user's
    password was changed in the meantime.
    """
    caller = valid_principal(principal)
    quota = _quota(caller, per_day)
    taken = is_taken(change.lower_case_email, principal.user_id)
    changed = (
        update(User)
        .where(User.id == quota.allowed.c.user_id, User.password == change.verified_hash, ~taken)
        .values(
            email=change.email,
            lower_case_email=change.lower_case_email,
            phone_number=_phone_number(change),
        )
        .returning(*USER_COLUMNS, User.phone_number, is_verified().label("verified"))
        .cte("changed")
    )
    account = select(*changed.c, sql_cast(null(), String).label("pending_email")).subquery()
    result = _change(caller, account, taken, quota)
    return result.add_cte(clear_login_failures(attempt).cte("cleared_failures"))


@statement(AccountChangeRow)
def request_email(
    principal: Principal,
    attempt: Attempt,
    change: EmailChange,
    *,
    token_hash: str,
    per_day: int,
) -> AccountSelect:
    """Let a user's e-mail change when a token is presented, and the phone number at once.

    The token replaces the one of an earlier request. The current e-mail only cancels that request.

    No row if the token of the principal is no longer valid. Nothing is changed if the e-mail is taken or if
    the user's password was changed in the meantime.
    """
    caller = valid_principal(principal)
    quota = _quota(caller, per_day)
    email: Any = change.email
    lower_case_email: Any = change.lower_case_email
    taken = is_taken(change.lower_case_email, principal.user_id)
    changed = (
        update(User)
        .where(User.id == quota.allowed.c.user_id, User.password == change.verified_hash, ~taken)
        .values(phone_number=_phone_number(change))
        .returning(*USER_COLUMNS, User.phone_number, is_verified().label("verified"), User.password)
        .cte("changed")
    )
    bound_to = select(
        changed.c.id.label("user_id"),
        email.label("email"),
        lower_case_email.label("lower_case_email"),
        account_digest(changed.c.email, changed.c.password).label("account_digest"),
    ).where(changed.c.email != email)
    token = add_token(VERIFICATION, bound_to.subquery(), token_hash).cte("token")
    cancelled = delete(MailToken).where(
        MailToken.user_id == changed.c.id,
        MailToken.purpose == VERIFICATION,
        MailToken.email != changed.c.email,
        changed.c.email == email,
    )
    account = select(
        changed.c.id,
        changed.c.email,
        changed.c.created_at,
        changed.c.phone_number,
        changed.c.verified,
        select(token.c.email).scalar_subquery().label("pending_email"),
    ).subquery()
    return (
        _change(caller, account, taken, quota)
        .add_cte(cancelled.cte("cancelled"))
        .add_cte(clear_login_failures(attempt).cte("cleared_failures"))
    )


@statement(UserRow)
def change_password(
    principal: Principal,
    attempt: Attempt,
    *,
    verified_hash: str,
    password: str,
) -> Select[*tuple[Any, ...]]:
    """Change a user's password and end their other sessions.

    No row if the user's password hash is not `verified_hash` any more. A session that a concurrent login is
    about to open cannot be ended here; it is refused because of `Session.password_digest`.
    """
    caller = valid_principal(principal)
    new_hash: Any = password
    changed = (
        update(User)
        .where(User.id == caller.c.id, User.password == verified_hash)
        .values(password=password)
        .returning(*USER_COLUMNS)
        .cte("changed")
    )
    own_session = sql_cast(principal.session_id, Uuid())
    ended = update(Session).where(
        Session.user_id == changed.c.id, Session.id != own_session, Session.ended_at.is_(None)
    )
    kept = update(Session).where(Session.user_id == changed.c.id, Session.id == own_session)
    return (
        select(*changed.c)
        .add_cte(kept.values(password_digest=sha256(new_hash)).cte("kept_session"))
        .add_cte(ended.values(ended_at=NOW).cte("ended_sessions"))
        .add_cte(clear_login_failures(attempt).cte("cleared_failures"))
    )


@statement(UserRow)
def mark_deleted(
    principal: Principal,
    attempt: Attempt,
    *,
    verified_hash: str,
) -> Select[*tuple[Any, ...]]:
    """Delete a user and free the e-mail; no row unless the password hash is `verified_hash`.

    The maintenance function removes the posts and votes later: there may be a million of them.
    """
    caller = valid_principal(principal)
    unused_address = literal_column("'deleted '", String) + sql_cast(User.id, String)
    deleted = (
        update(User)
        .where(User.id == caller.c.id, User.password == verified_hash)
        .values(
            email=unused_address,
            lower_case_email=unused_address,
            verified_email=null(),
            password=literal_column("''"),
            phone_number=null(),
            deleted_at=NOW,
        )
        .returning(*USER_COLUMNS)
        .cte("deleted")
    )
    hidden = insert(DeletedUser).from_select(["user_id"], select(deleted.c.id))
    ended = update(Session).where(Session.user_id == deleted.c.id, Session.ended_at.is_(None))
    # Here and not in maintenance, because a token may reserve an address.
    tokens = delete(MailToken).where(MailToken.user_id == deleted.c.id)
    return (
        select(*deleted.c)
        .add_cte(hidden.cte("hidden"))
        .add_cte(tokens.cte("removed_tokens"))
        .add_cte(ended.values(ended_at=NOW).cte("ended_sessions"))
        .add_cte(clear_login_failures(attempt).cte("cleared_failures"))
    )


@statement(SessionRow)
def sessions(principal: Principal) -> Select[*tuple[Any, ...]]:
    """Read the sessions of the principal's user that can be used, the most recently renewed one first.

    No row if the token is no longer valid.
    """
    caller = valid_principal(principal)
    return (
        select(
            Session.id,
            Session.created_at,
            Session.renewed_at,
            Session.user_agent,
            (Session.id == sql_cast(principal.session_id, Uuid())).label("current"),
        )
        .join(User, User.id == Session.user_id)
        .join(caller, caller.c.id == User.id)
        .where(Session.ended_at.is_(None), Session.renewed_at > MONTH_AGO, has_verified_password())
        .order_by(Session.renewed_at.desc(), Session.id)
        # Simultaneous logins may have opened a few more.
        .limit(MAX_SESSIONS)
    )


@statement(EndedSessionRow)
def end_session(principal: Principal, *, target: UUID) -> Select[*tuple[Any, ...]]:
    """End a session of the principal's user; no row if the token is no longer valid.

    Of two simultaneous requests, the second one waits for the session's row and then finds it ended.
    """
    caller = valid_principal(principal)
    ended = (
        update(Session)
        .where(Session.id == target, Session.user_id == caller.c.id, Session.ended_at.is_(None))
        .values(ended_at=NOW)
        .returning(Session.id)
        .cte("ended")
    )
    return select(caller.c.id.label("user_id"), ended.c.id.label("session_id")).outerjoin(ended, true())
