"""The SQL that functions share: attempts to log in, and digests.

An attempt counts as failed from the start, and the statement that follows a right password forgives it:
attempts made side by side can then not slip past the limit together.
"""

from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Delete,
    Integer,
    Select,
    case,
    cast,
    delete,
    exists,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.elements import SQLCoreOperations

from common.models import LoginFailure, User
from common.query import query
from common.rows import AttemptRow

# Ten attempts are free. After them the pause doubles from a second to about a minute, and no further: whoever
# fails on purpose must not be able to keep the owner out. A quarter of an hour of peace forgets them all.
NEXT_AT: ColumnElement[Any] = literal_column(
    "login_failures.last_at + interval '1 second' * CASE WHEN login_failures.failures < 10 THEN 0"
    " ELSE power(2, least(login_failures.failures - 10, 6)) END"
)
FORGOTTEN: ColumnElement[bool] = LoginFailure.last_at < literal_column("now() - interval '15 minutes'")
ONE: ColumnElement[int] = literal_column("1")
SWEPT_AT_ONCE: ColumnElement[int] = literal_column("2")


def digest_of(value: SQLCoreOperations[str]) -> ColumnElement[bytes]:
    """Return the SHA-256 hash of a text."""
    return func.sha256(func.convert_to(value, literal_column("'UTF8'")))


def account_of(email: SQLCoreOperations[str]) -> ColumnElement[bytes]:
    """Return what an address is known by among the failures."""
    return digest_of(func.lower(email))


def forgiven(user_id: int) -> Delete:
    """Return the statement that forgives a user the failures before a right password."""
    own = select(account_of(User.email)).where(User.id == user_id).scalar_subquery()
    return delete(LoginFailure).where(LoginFailure.account == own)


def _attempt(address: CTE) -> Select[*tuple[Any, ...]]:
    own = select(account_of(address.c.email))
    admitted = (
        insert(LoginFailure)
        .from_select(["account", "failures"], select(account_of(address.c.email), ONE))
        .on_conflict_do_update(
            index_elements=[LoginFailure.account],
            set_={
                "failures": case((FORGOTTEN, ONE), else_=LoginFailure.failures + ONE),
                "last_at": func.now(),
            },
            where=func.now() >= NEXT_AT,
        )
        .returning(LoginFailure.account)
        .cte("admitted")
    )
    old = select(LoginFailure.account).where(FORGOTTEN, LoginFailure.account.not_in(own)).limit(SWEPT_AT_ONCE)
    swept = delete(LoginFailure).where(LoginFailure.account.in_(old.with_for_update(skip_locked=True)))
    seconds = func.ceil(func.date_part(literal_column("'epoch'"), NEXT_AT - func.now()))
    return (
        select(
            exists(select(admitted.c.account)).label("admitted"),
            func.greatest(cast(seconds, Integer), ONE, type_=Integer).label("wait"),
            User.id,
            User.password,
        )
        .select_from(address)
        .outerjoin(User, func.lower(User.email) == address.c.email)
        .outerjoin(LoginFailure, LoginFailure.account == account_of(address.c.email))
        .add_cte(swept.cte("swept"))
    )


@query(AttemptRow)
def attempt_with_email(*, email: str) -> Select[*tuple[Any, ...]]:
    """Count an attempt to log in with an address, in any letter case."""
    return _attempt(select(func.lower(email).label("email")).cte("address"))


@query(AttemptRow)
def attempt_as_user(*, user_id: int) -> Select[*tuple[Any, ...]]:
    """Count an attempt of a user to prove who they are; no row when the account is gone."""
    return _attempt(select(func.lower(User.email).label("email")).where(User.id == user_id).cte("address"))
