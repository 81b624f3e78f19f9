"""What clients of the votes function send."""

from typing import Annotated

from pydantic import BaseModel, Field

from common.schemas import LARGEST_INTEGER, SMALLEST_INTEGER


class Ballot(BaseModel):
    """A vote on a post: `dir` 1 casts it, any lower number takes it back."""

    post_id: Annotated[int, Field(ge=SMALLEST_INTEGER, le=LARGEST_INTEGER)]
    dir: Annotated[int, Field(le=1)]
