"""What clients send beside a body: the parameters of lists, and the key that writes a post once."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Header, Query
from pydantic import Field

from common.schemas import MAX_INTEGER, STORABLE, Text
from posts.paging import Sort

Limit = Annotated[int, Query(ge=1, le=100, description="How many posts a page has at most")]
Skip = Annotated[int, Query(ge=0, le=MAX_INTEGER, description="How many posts to pass over; slow when many")]
Search = Annotated[Text, Query(description="A part of the title, letter for letter")]
SortBy = Annotated[Sort, Query(description="The newest first, the oldest, or the one with most votes")]
Published = Annotated[bool, Query(description="Whether to list posts, or else one's own drafts")]
CursorText = Annotated[
    str, Query(description="Where the page begins, from the Link header of the one before")
]
# The bounds are of the text, not of what may be none: pydantic would say that it has too many items.
IdempotencyKey = Annotated[
    Annotated[str, Field(min_length=1, max_length=255), STORABLE] | None,
    Header(
        alias="Idempotency-Key",
        description="Any text that is new for each post: sent again within a day, the post is written once",
    ),
]
