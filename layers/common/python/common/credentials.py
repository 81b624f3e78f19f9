"""Proof of who somebody is: a password, checked against what the database holds.

Each function takes a round trip, and counts as a failed login until a later statement forgives it
(`common.queries.forgiven`). Both raise ThrottledError before the password is looked at, and ForbiddenError.
"""

from typing import NamedTuple

from aws_lambda_powertools import single_metric
from aws_lambda_powertools.event_handler.exceptions import ForbiddenError
from aws_lambda_powertools.metrics import MetricUnit

from common import queries
from common.errors import ThrottledError
from common.identity import rows_for_user
from common.passwords import verify_password
from common.rows import AttemptRow

WRONG_PASSWORD = "The current password is wrong"  # noqa: S105  # a sentence


class Proven(NamedTuple):
    """A user whose password was right, and its hash, by which a later statement sees that it still is."""

    user_id: int
    hashed: str


def prove_with_email(email: str, password: str) -> Proven:
    """Return the user with this e-mail and password."""
    return _prove(queries.attempt_with_email(email=email)[0], password, "Invalid Credentials")


def prove_as_user(user_id: int, password: str) -> Proven:
    """Return the user when the password is theirs; 401 when the account is gone."""
    attempt = rows_for_user(queries.attempt_as_user(user_id=user_id))[0]
    return _prove(attempt, password, WRONG_PASSWORD)


def _prove(attempt: AttemptRow, password: str, refusal: str) -> Proven:
    if not attempt.admitted:
        raise ThrottledError(attempt.wait)
    # Checked even when there is no such account, so that both refusals take as long.
    if not verify_password(password, attempt.password) or attempt.id is None or attempt.password is None:
        with single_metric(name="FailedLogin", unit=MetricUnit.Count, value=1):
            pass  # an error raised in here would keep it from being written
        raise ForbiddenError(refusal)
    return Proven(attempt.id, attempt.password)
