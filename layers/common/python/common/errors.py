"""Exceptions of the layer, with the responses that `common.api` returns for them.

UnavailableError     503, nothing was changed
UnknownOutcomeError  504, a write may or may not have been committed
RateLimitError       429
"""


class UnavailableError(Exception):
    """The database could not run the statement, and nothing was changed.

    Attributes:
        retryable: Whether a second attempt may succeed.

    """

    def __init__(self, reason: str, *, retryable: bool) -> None:
        super().__init__(reason)
        self.retryable = retryable


class UnknownOutcomeError(Exception):
    """The connection was lost after a write was sent. It may or may not have been committed."""


class RateLimitError(Exception):
    """A client did something too often; the message says what.

    Attributes:
        retry_after_seconds: The time until it is allowed again.

    """

    def __init__(self, retry_after_seconds: int, message: str = "Too many attempts") -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
