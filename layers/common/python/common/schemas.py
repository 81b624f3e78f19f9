"""Shapes and fields that two or more functions speak."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

# PostgreSQL's INTEGER.
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


# PostgreSQL stores every character but NUL, and half a surrogate pair, which JSON can say, is none.
# Bounds of length go before this, where they count characters.
STORABLE = AfterValidator(_storable)
Text = Annotated[str, STORABLE]


class UserOut(BaseModel):
    """What anyone may know of a user."""

    id: int
    email: Annotated[str, Field(json_schema_extra={"format": "email"})]
    created_at: datetime


class Message(BaseModel):
    """A sentence for people."""

    message: str


class Problem(BaseModel):
    """Why a request failed."""

    detail: str


class InvalidField(BaseModel):
    """One thing that is wrong with the input, and where."""

    type: str
    loc: list[str | int]
    msg: str


class InvalidInput(BaseModel):
    """Everything that is wrong with the input."""

    detail: list[InvalidField]
