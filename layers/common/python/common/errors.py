"""Faults and refusals below the handlers that the API has an answer to."""


class UnavailableError(Exception):
    """The database cannot do it now, and has done nothing; `retryable` if another attempt could do better."""

    def __init__(self, reason: str, *, retryable: bool) -> None:
        super().__init__(reason)
        self.retryable = retryable


class UnknownOutcomeError(Exception):
    """The connection broke after a write was sent, which may or may not have been done."""


class RateLimitError(Exception):
    """Too many attempts; the next may come after `retry_after_seconds`."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"{retry_after_seconds} s to wait")
        self.retry_after_seconds = retry_after_seconds
