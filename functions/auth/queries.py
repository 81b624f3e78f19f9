"""The SQL of login."""

from sqlalchemy import Select, func, select

from auth.rows import CredentialsRow
from common.models import User
from common.query import query


@query(CredentialsRow)
def credentials(*, email: str) -> Select[int, str]:
    """Find a user by address, in any letter case."""
    return select(User.id, User.password).where(func.lower(User.email) == func.lower(email))
