"""Keyset paging: where in a list a page begins, as a text that clients hand back unread."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple
from urllib.parse import urlencode

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from common.schemas import MAX_INTEGER, MIN_INTEGER
from posts.rows import PostRow

Sort = Literal["new", "old", "top"]


class Cursor(NamedTuple):
    """A position in a list: the value that it is sorted by, as text, and the id of the post before it."""

    after: str
    after_id: int


FIRST_PAGE: dict[Sort, Cursor] = {
    "new": Cursor(datetime.max.replace(tzinfo=UTC).isoformat(), MAX_INTEGER),
    "old": Cursor(datetime.min.replace(tzinfo=UTC).isoformat(), MIN_INTEGER),
    "top": Cursor(str(MAX_INTEGER), MAX_INTEGER),
}


def cursor_after(row: PostRow, sort: Sort) -> Cursor:
    """Return the position after a post."""
    created_at = row.created_at.astimezone(UTC).isoformat()
    return Cursor(str(row.vote_count) if sort == "top" else created_at, row.id)


def encode(cursor: Cursor, sort: Sort) -> str:
    """Return the text of a cursor in a list of that sort, safe in a URL."""
    text = f"{sort} {cursor.after} {cursor.after_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(text: str, sort: Sort) -> Cursor:
    """Return the cursor of a text; ValueError when `encode` did not make it for that sort."""
    padding = "=" * (-len(text) % 4)
    _, after, after_id = base64.urlsafe_b64decode(text + padding).decode().split(" ")
    value = str(_integer(after)) if sort == "top" else _utc_time(after).isoformat()
    cursor = Cursor(value, _integer(after_id))
    if encode(cursor, sort) != text:
        raise ValueError("not a cursor of this list")
    return cursor


def _integer(text: str) -> int:
    value = int(text)
    if not 0 <= value <= MAX_INTEGER:
        raise ValueError("not an integer that a post has")
    return value


def _utc_time(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    if value.utcoffset() != timedelta(0):
        raise ValueError("not a time in UTC")
    return value


def next_link(event: APIGatewayProxyEvent, cursor: str) -> str:
    """Return the Link header (RFC 8288) from the list that was asked for to the page at a cursor."""
    query = {**event.query_string_parameters, "cursor": cursor}
    query.pop("skip", None)
    headers = event.headers
    # HTTP/1.0 knows no Host.
    host = headers.get("Host") or event.request_context.domain_name
    origin = f"{headers.get('X-Forwarded-Proto', 'https')}://{host}"
    text = urlencode(query, errors="replace")
    return f'<{origin}{event.request_context.path}?{text}>; rel="next"'
