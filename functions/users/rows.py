"""The rows that the statements return, and parameter objects."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID


class Address(NamedTuple):
    """An e-mail address as it is stored, and in lower case, as addresses are compared (`common.emails`)."""

    email: str
    lower_case_email: str


class EmailChange(NamedTuple):
    """A new e-mail, and a new phone number.

    Attributes:
        email: The new address.
        lower_case_email: The new address in lower case.
        verified_hash: The hash of the password that was checked; nothing changes if it is another one by now.
        phone_number: The new phone number, or None to remove it.
        keep_phone_number: Whether the phone number stays as it is.

    """

    email: str
    lower_case_email: str
    verified_hash: str
    phone_number: str | None
    keep_phone_number: bool


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
    verified: bool
    pending_email: str | None


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
        verified: Whether the user has verified the e-mail, or None.
        pending_email: The address to which the e-mail changes when it is verified, or None.
        retry_after_seconds: The time until the quota is renewed; None if it does not refuse the request.

    """

    email_taken: bool
    id: int | None
    email: str | None
    created_at: datetime | None
    phone_number: str | None
    verified: bool | None
    pending_email: str | None
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
