"""The principal of a request: the user and the session that the authorizer found in the access token."""

from collections.abc import Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.exceptions import ForbiddenError, UnauthorizedError

from common.errors import RateLimitError
from common.principal import Principal


class Limited(Protocol):
    """A row of a statement that uses a quota (`common.quotas`)."""

    @property
    def retry_after_seconds(self) -> int | None:
        """The time until the quota is renewed; None if it does not refuse the request."""


class Written(Limited, Protocol):
    """A row of a statement that writes a post or a vote."""

    @property
    def may_write(self) -> bool:
        """Whether the user may write (`common.queries.may_write`)."""


T = TypeVar("T")
L = TypeVar("L", bound=Limited)
W = TypeVar("W", bound=Written)

UNAUTHORIZED = "Could not validate credentials"
UNVERIFIED = "Verify your e-mail first: POST /auth/verification sends a link"


def current_principal(app: APIGatewayRestResolver) -> Principal:
    """Return the principal in the authorizer context.

    Raises UnauthorizedError if there is none, so that a route without an authorizer fails closed.
    """
    context = app.current_event["requestContext"].get("authorizer") or {}
    user_id, session_id = context.get("user_id") or "", context.get("session_id") or ""
    try:
        if user_id.isdecimal():
            return Principal(int(user_id), str(UUID(session_id)))
    except ValueError:
        pass
    raise UnauthorizedError(UNAUTHORIZED)


def client_address(app: APIGatewayRestResolver) -> str:
    """Return the address that the client connects from, in the form by which attempts are counted.

    API Gateway fills in `sourceIp`; a forwarded header is the client's own. An IPv6 client usually controls a
    /64 network and can choose any address in it: they count as one.
    """
    # Imported here because only requests with a password need it.
    from ipaddress import IPv4Address, IPv6Network, ip_address  # noqa: PLC0415

    address = ip_address(app.current_event.request_context.identity.source_ip)
    if isinstance(address, IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or IPv6Network((address, 64), strict=False))


def rows_or_unauthorized(rows: Sequence[T]) -> Sequence[T]:
    """Return the rows of a statement that starts from the principal.

    Raises UnauthorizedError if there are none: the session ended, but its access token has not expired.
    """
    if not rows:
        raise UnauthorizedError(UNAUTHORIZED)
    return rows


def row_within_quota(rows: Sequence[L], counted: str) -> L:
    """Return the row of a statement that uses a quota.

    Raises UnauthorizedError if there is none, and RateLimitError if the quota is used up. `counted` is what
    the quota limits, in the plural.
    """
    row = rows_or_unauthorized(rows)[0]
    if row.retry_after_seconds is not None:
        raise RateLimitError(row.retry_after_seconds, f"You have reached the limit of {counted} per day")
    return row


def row_of_writer(rows: Sequence[W], counted: str) -> W:
    """Return the row of a statement that writes a post or a vote.

    Raises what `row_within_quota` raises, and ForbiddenError if the user has to verify their address first.
    """
    row = row_within_quota(rows, counted)
    if not row.may_write:
        raise ForbiddenError(UNVERIFIED)
    return row
