"""The SQL that functions share: the rate limit of login attempts, and digests.

An attempt is counted as failed before the password is checked. The statement that follows a correct password
clears the count. So concurrent attempts cannot exceed the limit together.
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
from common.rows import AttemptRow
from common.statement import statement

# Ten attempts have no delay. After that the delay doubles from one second up to 64 seconds. It does not grow
# further, because an attacker who fails on purpose must not lock the owner out. 15 minutes without an attempt
# reset the count.
NEXT_ATTEMPT_AT: ColumnElement[Any] = literal_column(
    "login_failures.last_at + interval '1 second' * CASE WHEN login_failures.failures < 10 THEN 0"
    " ELSE power(2, least(login_failures.failures - 10, 6)) END"
)
EXPIRED: ColumnElement[bool] = LoginFailure.last_at < literal_column("now() - interval '15 minutes'")
ONE: ColumnElement[int] = literal_column("1")
SWEEP_LIMIT: ColumnElement[int] = literal_column("2")


def sha256(value: SQLCoreOperations[str]) -> ColumnElement[bytes]:
    """Return the SQL for the SHA-256 hash of a text."""
    return func.sha256(func.convert_to(value, literal_column("'UTF8'")))


def account_key(email: SQLCoreOperations[str]) -> ColumnElement[bytes]:
    """Return the SQL for the key of an e-mail address in `login_failures`."""
    return sha256(func.lower(email))


def clear_login_failures(user_id: int) -> Delete:
    """Return the statement that deletes a user's count of failed logins, for use in a CTE."""
    own_key = select(account_key(User.email)).where(User.id == user_id).scalar_subquery()
    return delete(LoginFailure).where(LoginFailure.account == own_key)


def _count_attempt(address: CTE) -> Select[*tuple[Any, ...]]:
    own_key = select(account_key(address.c.email))
    # Returns no row during the delay: the attempt is then neither counted nor allowed.
    counted = (
        insert(LoginFailure)
        .from_select(["account", "failures"], select(account_key(address.c.email), ONE))
        .on_conflict_do_update(
            index_elements=[LoginFailure.account],
            set_={
                "failures": case((EXPIRED, ONE), else_=LoginFailure.failures + ONE),
                "last_at": func.now(),
            },
            where=func.now() >= NEXT_ATTEMPT_AT,
        )
        .returning(LoginFailure.account)
        .cte("counted")
    )
    expired = (
        select(LoginFailure.account).where(EXPIRED, LoginFailure.account.not_in(own_key)).limit(SWEEP_LIMIT)
    )
    swept = delete(LoginFailure).where(LoginFailure.account.in_(expired.with_for_update(skip_locked=True)))
    seconds = func.ceil(func.date_part(literal_column("'epoch'"), NEXT_ATTEMPT_AT - func.now()))
    return (
        select(
            exists(select(counted.c.account)).label("allowed"),
            func.greatest(cast(seconds, Integer), ONE, type_=Integer).label("retry_after_seconds"),
            User.id.label("user_id"),
            User.password.label("password_hash"),
        )
        .select_from(address)
        .outerjoin(User, func.lower(User.email) == address.c.email)
        .outerjoin(LoginFailure, LoginFailure.account == account_key(address.c.email))
        .add_cte(swept.cte("swept"))
    )


@statement(AttemptRow)
def attempt_by_email(*, email: str) -> Select[*tuple[Any, ...]]:
    """Count a login attempt with an e-mail address, regardless of letter case."""
    return _count_attempt(select(func.lower(email).label("email")).cte("address"))


@statement(AttemptRow)
def attempt_by_id(*, user_id: int) -> Select[*tuple[Any, ...]]:
    """Count an attempt of a user to confirm their password; no row if the account was deleted."""
    return _count_attempt(
        select(func.lower(User.email).label("email")).where(User.id == user_id).cte("address")
    )
