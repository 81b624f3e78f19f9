"""What clients of the users function send, and what it answers beyond UserOut."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from common.emails import normalize
from common.passwords import MAX_PASSWORD_BYTES
from common.schemas import STORABLE, UserOut


def _valid_email(value: str) -> str:
    try:
        return normalize(value)
    except ValueError:
        raise PydanticCustomError("value_error", "value is not a valid email address") from None


def _short_enough_for_bcrypt(value: str) -> str:
    if len(value.encode()) > MAX_PASSWORD_BYTES:
        raise PydanticCustomError(
            "string_too_long",
            "String should have at most {maximum} bytes in UTF-8",
            {"maximum": MAX_PASSWORD_BYTES},
        )
    return value


Email = Annotated[str, Field(json_schema_extra={"format": "email"}), AfterValidator(_valid_email)]
NewPassword = Annotated[
    str,
    Field(min_length=1, json_schema_extra={"format": "password"}),
    STORABLE,
    AfterValidator(_short_enough_for_bcrypt),
]
# No bounds: it is compared with what is stored, not stored.
CurrentPassword = Annotated[str, Field(json_schema_extra={"format": "password"}), STORABLE]


class UserCreate(BaseModel):
    """A new account."""

    email: Email
    password: NewPassword


class Account(UserOut):
    """What a user may know of themselves."""

    phone_number: str | None


class AccountChange(BaseModel):
    """What to change of an account; what is absent stays. A new e-mail wants the current password."""

    phone_number: Annotated[str, Field(max_length=50), STORABLE] | None = None
    email: Email | None = None
    current_password: CurrentPassword | None = None

    @model_validator(mode="after")
    def _password_for_email(self) -> Self:
        if self.email is not None and self.current_password is None:
            raise PydanticCustomError("missing", "A new e-mail wants the current_password beside it")
        return self


class PasswordChange(BaseModel):
    """A new password for the current one."""

    current_password: CurrentPassword
    new_password: NewPassword


class PasswordProof(BaseModel):
    """The password of a user who wants something that cannot be undone."""

    current_password: CurrentPassword
