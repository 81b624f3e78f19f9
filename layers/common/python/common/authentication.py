"""Checks passwords against the hashes in the database.

Each function takes one round trip. It counts a failed login in advance; the statement that follows a correct
password clears it (`common.queries.clear_login_failures`). Both functions raise RateLimitError, before they
check the password, or ForbiddenError when it is wrong.
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

WRONG_PASSWORD = "The current password is wrong"  # noqa: S105  # a sentence


class VerifiedUser(NamedTuple):
    """A user whose password was right, and its hash, by which a later statement sees that it still is."""

    user_id: int
    password_hash: str


def authenticate_by_email(email: str, password: str) -> VerifiedUser:
    """Return the user with this e-mail and password."""
    return _authenticate(queries.attempt_by_email(email=email)[0], password, "Invalid Credentials")


def authenticate_by_id(user_id: int, password: str) -> VerifiedUser:
    """Return the user when the password is theirs; 401 when the account is gone."""
    attempt = rows_or_unauthorized(queries.attempt_by_id(user_id=user_id))[0]
    return _authenticate(attempt, password, WRONG_PASSWORD)


def _authenticate(attempt: AttemptRow, password: str, error_message: str) -> VerifiedUser:
    if not attempt.allowed:
        raise RateLimitError(attempt.retry_after_seconds)
    # Checked even when there is no such account, so that both refusals take as long.
    if (
        not verify_password(password, attempt.password_hash)
        or attempt.user_id is None
        or attempt.password_hash is None
    ):
        with single_metric(name="FailedLogin", unit=MetricUnit.Count, value=1):
            pass  # an error raised in here would keep it from being written
        raise ForbiddenError(error_message)
    return VerifiedUser(attempt.user_id, attempt.password_hash)
