"""Faults and refusals below the handlers that the API has an answer to."""


class UnavailableError(Exception):
    """The database cannot do it now, and has done nothing; `may_pass` if another attempt could do better."""

    def __init__(self, reason: str, *, may_pass: bool) -> None:
        super().__init__(reason)
        self.may_pass = may_pass


class UnknownOutcomeError(Exception):
    """The connection broke after a write was sent, which may or may not have been done."""


class ThrottledError(Exception):
    """Too many attempts; the next may come after `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"{seconds} s to wait")
        self.seconds = seconds
