"""The SQL of users."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, case, delete, exists, func, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from common.models import Session, User
from common.queries import clear_login_failures, sha256
from common.statement import statement
from users.rows import AccountRow, EmailChangeRow, UserRow

USER_COLUMNS = (User.id, User.email, User.created_at)
ACCOUNT_COLUMNS = (*USER_COLUMNS, User.phone_number)


@statement(UserRow)
def create(*, email: str, password: str) -> ReturningInsert[*tuple[Any, ...]]:
    """Insert a user; no row if the e-mail is taken, regardless of letter case."""
    return (
        insert(User).values(email=email, password=password).on_conflict_do_nothing().returning(*USER_COLUMNS)
    )


@statement(UserRow)
def read(*, user_id: int) -> Select[*tuple[Any, ...]]:
    """Read the public fields of a user."""
    return select(*USER_COLUMNS).where(User.id == user_id)


@statement(AccountRow)
def account(*, user_id: int) -> Select[*tuple[Any, ...]]:
    """Read the account of a user."""
    return select(*ACCOUNT_COLUMNS).where(User.id == user_id)


@statement(AccountRow)
def change_phone_number(*, user_id: int, phone_number: str | None) -> ReturningUpdate[*tuple[Any, ...]]:
    """Change a user's phone number; no row if the account was deleted."""
    return (
        update(User).where(User.id == user_id).values(phone_number=phone_number).returning(*ACCOUNT_COLUMNS)
    )


@statement(EmailChangeRow)
def change_email(
    *, user_id: int, verified_hash: str, email: str, phone_number: str | None, keep_phone_number: bool
) -> Select[*tuple[Any, ...]]:
    """Change a user's e-mail, and the phone number unless `keep_phone_number`; no row without such a user.

    Nothing is changed if the e-mail is taken or if the user's password hash is not `verified_hash` any more.
    """
    other = aliased(User)
    keeps: Any = keep_phone_number
    taken = exists(select(other.id).where(func.lower(other.email) == func.lower(email), other.id != user_id))
    changed = (
        update(User)
        .where(User.id == user_id, User.password == verified_hash, ~taken)
        .values(email=email, phone_number=case((keeps, User.phone_number), else_=phone_number))
        .returning(*ACCOUNT_COLUMNS)
        .cte("changed")
    )
    return (
        select(taken.label("email_taken"), *changed.c)
        .select_from(User)
        .outerjoin(changed, true())
        .where(User.id == user_id)
        .add_cte(clear_login_failures(user_id).cte("cleared_failures"))
    )


@statement(UserRow)
def change_password(
    *, user_id: int, verified_hash: str, password: str, session_id: UUID
) -> Select[*tuple[Any, ...]]:
    """Change a user's password and end their other sessions.

    No row if the user's password hash is not `verified_hash` any more. A session that a concurrent login is
    about to open cannot be ended here; its first renewal is refused because of `Session.password_digest`.
    """
    new_hash: Any = password
    changed = (
        update(User)
        .where(User.id == user_id, User.password == verified_hash)
        .values(password=password)
        .returning(*USER_COLUMNS)
        .cte("changed")
    )
    ended = delete(Session).where(Session.user_id == changed.c.id, Session.id != session_id)
    kept = (
        update(Session)
        .where(Session.user_id == changed.c.id, Session.id == session_id)
        .values(password_digest=sha256(new_hash))
    )
    return (
        select(*changed.c)
        .add_cte(kept.cte("kept_session"))
        .add_cte(ended.cte("ended_sessions"))
        .add_cte(clear_login_failures(user_id).cte("cleared_failures"))
    )


@statement(UserRow)
def remove(*, user_id: int, verified_hash: str) -> Select[*tuple[Any, ...]]:
    """Delete a user with all posts, votes and sessions; no row unless their hash is `verified_hash`."""
    removed = (
        delete(User)
        .where(User.id == user_id, User.password == verified_hash)
        .returning(*USER_COLUMNS)
        .cte("removed")
    )
    return select(*removed.c).add_cte(clear_login_failures(user_id).cte("cleared_failures"))
