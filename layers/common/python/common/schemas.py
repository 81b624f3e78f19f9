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
    return value


# PostgreSQL cannot store NUL. A length limit before this validator in `Annotated` counts characters, and
# makes pydantic reject a lone surrogate, which JSON can contain and UTF-8 cannot encode.
STORABLE = AfterValidator(_storable)
# RFC 5321, section 4.5.3.1.3. It is checked before any other work on an address: Unicode normalization takes
# quadratic time for combining characters.
MAX_EMAIL_LENGTH = 254
# The maximum length of a password that we only compare. No password that we store is that long.
MAX_TYPED_PASSWORD_LENGTH = 1_000
TypedEmail = Annotated[str, Field(min_length=1, max_length=MAX_EMAIL_LENGTH), STORABLE]
TypedPassword = Annotated[
    str,
    Field(min_length=1, max_length=MAX_TYPED_PASSWORD_LENGTH, json_schema_extra={"format": "password"}),
    STORABLE,
]


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
