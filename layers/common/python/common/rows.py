"""The rows that the statements of this package return, and a parameter that several of them share."""

from datetime import datetime
from typing import NamedTuple


class Attempt(NamedTuple):
    """A reserved attempt to log in.

    Attributes:
        account: The e-mail of the account in lower case.
        client: The address of the client (`common.identity.client_address`).
        reserved_until: When the reservation expires. It also identifies the reservation.

    """

    account: str
    client: str
    reserved_until: datetime


class AttemptRow(NamedTuple):
    """A reserved or refused login attempt.

    Attributes:
        reserved_until: When the reservation expires, or None if the rate limit refuses the attempt.
        retry_after_seconds: The time until the next attempt is allowed.
        account: The e-mail of the account in lower case.
        user_id: The id of the account, or None if there is no such account.
        password_hash: The hash of its password, or None if there is no such account.

    """

    reserved_until: datetime | None
    retry_after_seconds: int
    account: str
    user_id: int | None
    password_hash: str | None


class FailureRow(NamedTuple):
    """How often attempts have failed, in one of the rows that count them."""

    failures: int
