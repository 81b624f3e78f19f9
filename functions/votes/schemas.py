"""Request bodies of the votes function."""

from typing import Annotated

from pydantic import BaseModel, Field

from common.schemas import MAX_INTEGER, MIN_INTEGER


class Ballot(BaseModel):
    """A vote on a post: `dir` 1 casts it, any lower number retracts it."""

    post_id: Annotated[int, Field(ge=MIN_INTEGER, le=MAX_INTEGER)]
    dir: Annotated[int, Field(le=1)]
