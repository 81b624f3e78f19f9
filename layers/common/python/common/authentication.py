"""Checks passwords against the hashes in the database, within the rate limits of login attempts.

Each check takes one round trip, which reserves an attempt, and a second one if the password is wrong. The
statement that follows a correct password ends the attempt (`common.queries.clear_login_failures`).
"""

from typing import NamedTuple

from aws_lambda_powertools import single_metric
from aws_lambda_powertools.event_handler.exceptions import ForbiddenError
from aws_lambda_powertools.metrics import MetricUnit

from common import queries
from common.emails import lower_case
from common.errors import RateLimitError
from common.identity import rows_or_unauthorized
from common.passwords import verify_password
from common.principal import Principal
from common.rows import Attempt, AttemptRow

INVALID_CREDENTIALS = "Invalid Credentials"
WRONG_PASSWORD = "The current password is wrong"  # noqa: S105  # a sentence


class VerifiedUser(NamedTuple):
    """A user who gave the correct password.

    Attributes:
        user_id: The id of the user.
        password_hash: The hash that was checked. The next statement compares it with the stored hash, so that
            it notices if the password was changed in the meantime.
        attempt: The attempt that the next statement ends.

    """

    user_id: int
    password_hash: str
    attempt: Attempt


def authenticate_by_email(email: str, password: str, client: str) -> VerifiedUser:
    """Return the user with this e-mail and password; raises RateLimitError or ForbiddenError.

    `client` is the address of the client (`common.identity.client_address`).
    """
    attempt = queries.reserve_attempt_by_email(account=lower_case(email), client=client)[0]
    return _authenticate(attempt, password, client, INVALID_CREDENTIALS)


def authenticate_principal(principal: Principal, password: str, client: str) -> VerifiedUser:
    """Return the principal's user if this is their password; raises RateLimitError or ForbiddenError.

    Raises UnauthorizedError if the token is no longer valid.
    """
    rows = queries.reserve_attempt_by_principal(principal, client=client)
    return _authenticate(rows_or_unauthorized(rows)[0], password, client, WRONG_PASSWORD)


def _authenticate(row: AttemptRow, password: str, client: str, error_message: str) -> VerifiedUser:
    if row.reserved_until is None:
        raise RateLimitError(row.retry_after_seconds)
    attempt = Attempt(row.account, client, row.reserved_until)
    # Also check the password if there is no account, so that the response time does not reveal which it is.
    if not verify_password(password, row.password_hash) or row.user_id is None or row.password_hash is None:
        queries.record_failure(attempt)
        with single_metric(name="FailedLogin", unit=MetricUnit.Count, value=1):
            pass  # an exception inside the block would prevent the metric from being written
        raise ForbiddenError(error_message)
    return VerifiedUser(row.user_id, row.password_hash, attempt)
