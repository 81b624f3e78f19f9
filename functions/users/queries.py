"""The SQL of users, a statement a function."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, case, delete, exists, func, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from common.models import Session, User
from common.queries import digest_of, forgiven
from common.query import query
from users.rows import AccountRow, EmailRow, UserRow

COLUMNS = (User.id, User.email, User.created_at)
ACCOUNT = (*COLUMNS, User.phone_number)


@query(UserRow)
def create(*, email: str, password: str) -> ReturningInsert[*tuple[Any, ...]]:
    """Add a user; no row when the address is taken, in any letter case."""
    return insert(User).values(email=email, password=password).on_conflict_do_nothing().returning(*COLUMNS)


@query(UserRow)
def read(*, user_id: int) -> Select[*tuple[Any, ...]]:
    """Find a user."""
    return select(*COLUMNS).where(User.id == user_id)


@query(AccountRow)
def account(*, user_id: int) -> Select[*tuple[Any, ...]]:
    """Find a user's own account."""
    return select(*ACCOUNT).where(User.id == user_id)


@query(AccountRow)
def change_phone_number(*, user_id: int, phone_number: str | None) -> ReturningUpdate[*tuple[Any, ...]]:
    """Change a user's phone number; no row when the account is gone."""
    return update(User).where(User.id == user_id).values(phone_number=phone_number).returning(*ACCOUNT)


@query(EmailRow)
def change_email(
    *, user_id: int, seen_hash: str, email: str, phone_number: str | None, keeps_phone_number: bool
) -> Select[*tuple[Any, ...]]:
    """Change a user's address, and phone number unless it is kept; no row when the user has gone.

    Nothing changes when the address is taken, or the password hash not the one seen any more.
    """
    other = aliased(User)
    keeps: Any = keeps_phone_number
    taken = exists(select(other.id).where(func.lower(other.email) == func.lower(email), other.id != user_id))
    changed = (
        update(User)
        .where(User.id == user_id, User.password == seen_hash, ~taken)
        .values(email=email, phone_number=case((keeps, User.phone_number), else_=phone_number))
        .returning(*ACCOUNT)
        .cte("changed")
    )
    return (
        select(taken.label("is_taken"), *changed.c)
        .select_from(User)
        .outerjoin(changed, true())
        .where(User.id == user_id)
        .add_cte(forgiven(user_id).cte("forgiven"))
    )


@query(UserRow)
def change_password(
    *, user_id: int, seen_hash: str, password: str, session_id: UUID
) -> Select[*tuple[Any, ...]]:
    """Change a user's password and end their other sessions; no row when the hash is not the one seen.

    A session that a login is about to open beside it is not seen, but is good for the old password only.
    """
    new_hash: Any = password
    changed = (
        update(User)
        .where(User.id == user_id, User.password == seen_hash)
        .values(password=password)
        .returning(*COLUMNS)
        .cte("changed")
    )
    ended = delete(Session).where(Session.user_id == changed.c.id, Session.id != session_id)
    kept = (
        update(Session)
        .where(Session.user_id == changed.c.id, Session.id == session_id)
        .values(password_digest=digest_of(new_hash))
    )
    return (
        select(*changed.c)
        .add_cte(kept.cte("kept"))
        .add_cte(ended.cte("ended"))
        .add_cte(forgiven(user_id).cte("forgiven"))
    )


@query(UserRow)
def remove(*, user_id: int, seen_hash: str) -> Select[*tuple[Any, ...]]:
    """Delete a user with all posts, votes and sessions; no row when the hash is not the one seen."""
    removed = (
        delete(User).where(User.id == user_id, User.password == seen_hash).returning(*COLUMNS).cte("removed")
    )
    return select(*removed.c).add_cte(forgiven(user_id).cte("forgiven"))
