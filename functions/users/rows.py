"""The rows that the statements return, and a parameter that two of them share."""

from datetime import datetime
from typing import NamedTuple


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

    `email_taken` is true when another user has the new address. `retry_after_seconds` is the time until the
    quota is renewed; None if it does not refuse the request. The fields of the account are None when nothing
    was changed, for one of these reasons, or because the password was changed or the account deleted in the
    meantime.
    """

    email_taken: bool
    id: int | None
    email: str | None
    created_at: datetime | None
    phone_number: str | None
    retry_after_seconds: int | None
