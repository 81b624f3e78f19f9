"""The SQL of users, a statement a function."""

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningInsert

from common.models import User
from common.query import query
from users.rows import UserRow

COLUMNS = (User.id, User.email, User.created_at)


@query(UserRow)
def create(*, email: str, password: str) -> ReturningInsert[int, str, object]:
    """Add a user; no row when the address is taken, in any letter case."""
    return insert(User).values(email=email, password=password).on_conflict_do_nothing().returning(*COLUMNS)


@query(UserRow)
def read(*, user_id: int) -> Select[int, str, object]:
    """Find a user."""
    return select(*COLUMNS).where(User.id == user_id)
