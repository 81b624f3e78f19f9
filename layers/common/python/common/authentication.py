"""Checks passwords against the hashes in the database, within the rate limit of login attempts.

Each check takes one round trip, which counts the attempt as failed in advance. The statement that follows a
correct password clears the count (`common.queries.clear_login_failures`).
"""

from typing import NamedTuple

from aws_lambda_powertools import single_metric
from aws_lambda_powertools.event_handler.exceptions import ForbiddenError
from aws_lambda_powertools.metrics import MetricUnit

from common import queries
from common.errors import RateLimitError
from common.identity import rows_or_unauthorized
from common.passwords import verify_password
from common.rows import AttemptRow

INVALID_CREDENTIALS = "Invalid Credentials"
WRONG_PASSWORD = "The current password is wrong"  # noqa: S105  # a sentence


class VerifiedUser(NamedTuple):
    """A user who gave the correct password.

    Attributes:
        user_id: The id of the user.
        password_hash: The hash that was checked. The next statement compares it with the stored hash, so that
            it notices if the password was changed in the meantime.

    """

    user_id: int
    password_hash: str


def authenticate_by_email(email: str, password: str) -> VerifiedUser:
    """Return the user with this e-mail and password; raises RateLimitError or ForbiddenError."""
    return _authenticate(queries.attempt_by_email(email=email)[0], password, INVALID_CREDENTIALS)


def authenticate_by_id(user_id: int, password: str) -> VerifiedUser:
    """Return the user if this is their password; raises RateLimitError or ForbiddenError.

    Raises UnauthorizedError if the account was deleted.
    """
    attempt = rows_or_unauthorized(queries.attempt_by_id(user_id=user_id))[0]
    return _authenticate(attempt, password, WRONG_PASSWORD)


def _authenticate(attempt: AttemptRow, password: str, error_message: str) -> VerifiedUser:
    if not attempt.allowed:
        raise RateLimitError(attempt.retry_after_seconds)
    # Also check the password if there is no account, so that the response time does not reveal that.
    if (
        not verify_password(password, attempt.password_hash)
        or attempt.user_id is None
        or attempt.password_hash is None
    ):
        with single_metric(name="FailedLogin", unit=MetricUnit.Count, value=1):
            pass  # an exception inside the block would prevent the metric from being written
        raise ForbiddenError(error_message)
    return VerifiedUser(attempt.user_id, attempt.password_hash)
