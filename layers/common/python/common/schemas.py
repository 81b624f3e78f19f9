"""Request and response types that two or more functions use."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

# The range of PostgreSQL's INTEGER.
MIN_INTEGER = -(2**31)
MAX_INTEGER = 2**31 - 1


def _storable(value: str) -> str:
    if "\0" in value:
        raise PydanticCustomError("string_nul", "String should not contain a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("string_unicode", "String should be valid Unicode") from None
    return value


# PostgreSQL cannot store NUL, and UTF-8 cannot encode a lone surrogate, which JSON can contain.
# Write length limits before this validator in `Annotated`: there they count characters.
STORABLE = AfterValidator(_storable)
Text = Annotated[str, STORABLE]


class UserOut(BaseModel):
    """The public fields of a user."""

    id: int
    email: Annotated[str, Field(json_schema_extra={"format": "email"})]
    created_at: datetime


class Message(BaseModel):
    """A message for people."""

    message: str


class Problem(BaseModel):
    """The body of an error response."""

    detail: str


class InvalidField(BaseModel):
    """An error in the input, and its location."""

    type: str
    loc: list[str | int]
    msg: str


class InvalidInput(BaseModel):
    """The body of a response to invalid input."""

    detail: list[InvalidField]
