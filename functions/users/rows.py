"""The rows that the statements return, and a parameter that two of them share."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID


class Address(NamedTuple):
    """An e-mail address as it is stored, and in lower case, as addresses are compared (`common.emails`)."""

    email: str
    lower_case_email: str


class UserRow(NamedTuple):
    """The columns of UserOut."""

    id: int
    email: str
    created_at: datetime


class AccountRow(NamedTuple):
    """The columns of Account."""

    id: int
    email: str
    created_at: datetime
    phone_number: str | None


class AccountChangeRow(NamedTuple):
    """The changed account.

    The fields of the account are None if nothing was changed: because the e-mail is taken, because the quota
    refuses the request, or because the password was changed or the account deleted in the meantime.

    Attributes:
        email_taken: Whether another user has the new address.
        id: The id of the user, or None.
        email: The e-mail of the user, or None.
        created_at: When the user signed up, or None.
        phone_number: The phone number of the user, or None.
        retry_after_seconds: The time until the quota is renewed; None if it does not refuse the request.

    """

    email_taken: bool
    id: int | None
    email: str | None
    created_at: datetime | None
    phone_number: str | None
    retry_after_seconds: int | None


class SessionRow(NamedTuple):
    """The columns of Session."""

    id: UUID
    created_at: datetime | None
    renewed_at: datetime
    user_agent: str | None
    current: bool


class EndedSessionRow(NamedTuple):
    """An ended session.

    Attributes:
        user_id: The id of its user.
        session_id: The id of the session, or None if the user has no such session that has not ended.

    """

    user_id: int
    session_id: UUID | None
