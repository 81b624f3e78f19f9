"""How long the invocation at hand may still take."""

import time
from typing import Protocol

# What is left for writing the answer, so that the client hears from us and not from the gateway.
RESPONSE_MARGIN_SECONDS = 1.0


class LambdaContext(Protocol):
    """The part of the Lambda context object that is used here."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation."""


class _Deadline:
    at = float("inf")


def start(context: LambdaContext) -> None:
    """Start the clock of an invocation."""
    _Deadline.at = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - RESPONSE_MARGIN_SECONDS


def seconds_left() -> float:
    """Return the seconds that the invocation may still spend waiting; zero or less when there are none."""
    return _Deadline.at - time.monotonic()
