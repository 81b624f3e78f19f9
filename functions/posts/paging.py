"""Keyset paging: cursors, which clients treat as opaque strings, and the Link header."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple
from urllib.parse import urlencode

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from common.schemas import MAX_INTEGER, MIN_INTEGER
from posts.rows import ListRow

Sort = Literal["new", "old", "top"]


class Cursor(NamedTuple):
    """A position in a list: the page begins after the post with this sort value and id.

    Attributes:
        after: The value that the list is sorted by, as text.
        after_id: The id of the post.

    """

    after: str
    after_id: int


FIRST_PAGE: dict[Sort, Cursor] = {
    "new": Cursor(datetime.max.replace(tzinfo=UTC).isoformat(), MAX_INTEGER),
    "old": Cursor(datetime.min.replace(tzinfo=UTC).isoformat(), MIN_INTEGER),
    "top": Cursor(str(MAX_INTEGER), MAX_INTEGER),
}


class NextPage(NamedTuple):
    """Where the next page begins: after a position, and after some more posts."""

    cursor: Cursor
    skip: int


def next_page(rows: Sequence[ListRow], *, limit: int, skip: int) -> NextPage | None:
    """Return where the next page begins, or None if this page is the last one.

    `rows` are those of this page, which has at most `limit` posts and leaves out the first `skip` ones.
    """
    last = rows[-1]
    number_listed = sum(row.post_exists for row in rows)
    # This page has as many posts as requested or as fit.
    if last.id is not None and (last.number_found > skip + limit or number_listed < last.number_shown):
        return NextPage(_cursor(last.created_at, last.rank, last.id), 0)
    if last.stop_id is not None:
        cursor = _cursor(last.stop_created_at, last.stop_rank, last.stop_id)
        return NextPage(cursor, max(skip - last.number_found, 0))
    return None


def _cursor(created_at: datetime | None, rank: int | None, post_id: int) -> Cursor:
    if created_at is None or rank is not None:
        return Cursor(str(rank), post_id)
    return Cursor(created_at.astimezone(UTC).isoformat(), post_id)


def encode(cursor: Cursor, sort: Sort) -> str:
    """Return a cursor as a URL-safe string for a list with this order."""
    text = f"{sort} {cursor.after} {cursor.after_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(text: str, sort: Sort) -> Cursor:
    """Return the cursor in a string; raises ValueError if `encode` did not create it for this order."""
    padding = "=" * (-len(text) % 4)
    _, after, after_id = base64.urlsafe_b64decode(text + padding).decode().split(" ")
    value = str(_integer(after, MIN_INTEGER)) if sort == "top" else _utc_time(after).isoformat()
    cursor = Cursor(value, _integer(after_id, 0))
    if encode(cursor, sort) != text:
        raise ValueError("not a cursor of this list")
    return cursor


def _integer(text: str, minimum: int) -> int:
    value = int(text)
    if not minimum <= value <= MAX_INTEGER:
        raise ValueError("not the id or the rank of a post")
    return value


def _utc_time(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    if value.utcoffset() != timedelta(0):
        raise ValueError("not a time in UTC")
    return value


def next_link(event: APIGatewayProxyEvent, cursor: str, skip: int) -> str:
    """Return the Link header (RFC 8288) with the page at `cursor` of the list that `event` requests.

    `skip` is the number of posts to leave out after the cursor.
    """
    query = {**event.query_string_parameters, "cursor": cursor, "skip": str(skip)}
    if not skip:
        del query["skip"]
    # Not the Host header, which a client chooses. The gateway knows the domain name of the request.
    scheme = "http" if event.headers.get("X-Forwarded-Proto") == "http" else "https"
    context = event.request_context
    text = urlencode(query, errors="replace")
    return f'<{scheme}://{context.domain_name}{context.path}?{text}>; rel="next"'
