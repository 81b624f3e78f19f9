"""The query parameters of lists, and the header Idempotency-Key."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Header, Query
from pydantic import Field

from common.schemas import STORABLE
from posts.paging import Sort

Limit = Annotated[int, Query(ge=1, le=100, description="The maximum number of posts on a page")]
Skip = Annotated[
    int, Query(ge=0, le=10_000, description="The number of posts to skip; the Link header leads further")
]
Search = Annotated[
    Annotated[str, Field(max_length=300), STORABLE],
    Query(description="Text that the title contains, matched literally"),
]
SortBy = Annotated[Sort, Query(description="Newest first, oldest first, or most votes first")]
Published = Annotated[bool, Query(description="false lists your own drafts instead of posts")]
CursorText = Annotated[
    str,
    Query(max_length=200, description="The start of the page, from the Link header of the previous page"),
]
# Limit the length of `str`, not of `str | None`: for that, pydantic would report a limit of items.
IdempotencyKey = Annotated[
    Annotated[str, Field(min_length=1, max_length=255), STORABLE] | None,
    Header(
        alias="Idempotency-Key",
        description="A unique text for each post. If it is sent again within a day, the post is created once",
    ),
]
