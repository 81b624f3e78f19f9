"""Keyset paging: where in a list a page begins, as a text that clients hand back unread."""

import base64
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from common.schemas import LARGEST_INTEGER


class Cursor(NamedTuple):
    """A position in the newest-first order: a list goes on with the posts older than it."""

    before: datetime
    before_id: int


START = Cursor(datetime.max.replace(tzinfo=UTC), LARGEST_INTEGER)


def encode(cursor: Cursor) -> str:
    """Return the text of a cursor, safe in a URL."""
    text = f"{cursor.before.astimezone(UTC).isoformat()} {cursor.before_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(text: str) -> Cursor:
    """Return the cursor of a text; ValueError when `encode` did not make it."""
    padding = "=" * (-len(text) % 4)
    before, _, before_id = base64.urlsafe_b64decode(text + padding).decode().partition(" ")
    cursor = Cursor(datetime.fromisoformat(before), int(before_id))
    is_in_range = cursor.before.utcoffset() == timedelta(0) and 0 <= cursor.before_id <= LARGEST_INTEGER
    if not is_in_range or encode(cursor) != text:
        raise ValueError("not a cursor")
    return cursor


def link_to_next(event: APIGatewayProxyEvent, cursor: Cursor) -> str:
    """Return the Link header (RFC 8288) from the list that was asked for to its next page."""
    query = {**event.query_string_parameters, "cursor": encode(cursor)}
    query.pop("skip", None)
    headers = event.headers
    origin = f"{headers.get('X-Forwarded-Proto', 'https')}://{headers['Host']}"
    return f'<{origin}{event.request_context.path}?{urlencode(query)}>; rel="next"'
