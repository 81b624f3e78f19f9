"""The time limit of the current invocation."""

import time
from typing import Protocol

# Reserved for the response, so that the client receives our error and not the timeout of the gateway.
RESPONSE_MARGIN_SECONDS = 1.0


class LambdaContext(Protocol):
    """The part of the Lambda context object that is used here."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation."""


class _Deadline:
    at = float("inf")


def start(context: LambdaContext) -> None:
    """Set the deadline of the invocation that starts now."""
    _Deadline.at = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - RESPONSE_MARGIN_SECONDS


def seconds_left() -> float:
    """Return how many seconds the invocation may still wait; zero or negative after the deadline."""
    return _Deadline.at - time.monotonic()
