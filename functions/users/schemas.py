"""What clients of the users function send."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from common.passwords import MOST_BYTES
from common.schemas import STORABLE


def _address(value: str) -> str:
    # Imported here because only sign-up needs it, and reading a user should start without it.
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415

    try:
        return validate_email(value, check_deliverability=False).normalized
    except EmailNotValidError:
        raise PydanticCustomError("value_error", "value is not a valid email address") from None


def _hashable(value: str) -> str:
    if len(value.encode()) > MOST_BYTES:
        raise PydanticCustomError(
            "string_too_long", "String should have at most {most} bytes in UTF-8", {"most": MOST_BYTES}
        )
    return value


class UserCreate(BaseModel):
    """A new account."""

    email: Annotated[str, Field(json_schema_extra={"format": "email"}), AfterValidator(_address)]
    password: Annotated[
        str,
        Field(min_length=1, json_schema_extra={"format": "password"}),
        STORABLE,
        AfterValidator(_hashable),
    ]
