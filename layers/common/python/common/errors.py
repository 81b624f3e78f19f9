"""Exceptions of the layer, with the responses that `common.api` returns for them.

UnavailableError     503, nothing was changed
UnknownOutcomeError  504, a write may or may not have been committed
RateLimitError       429
PostgresError        500, any other error that the server reports: a bug

`common.database` raises them. They are here so that a function without a database imports no driver.
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


class PostgresError(Exception):
    """The server reported an error: it rolled the statement back, or refused the connection.

    Attributes:
        sqlstate: The error code (https://www.postgresql.org/docs/current/errcodes-appendix.html).
        fatal: Whether the server closes the connection.
        fields: The server's report by the letters of the protocol (protocol-error-fields.html). Do not log it
            on AWS: it may quote input.
        statement: The SQL text, empty if the server refused the connection.

    """

    def __init__(self, fields: dict[str, str], statement: str = "") -> None:
        super().__init__(fields.get("M", ""))
        self.sqlstate = fields.get("C", "")
        self.fatal = fields.get("V") in {"FATAL", "PANIC"}
        self.fields = fields
        self.statement = statement
