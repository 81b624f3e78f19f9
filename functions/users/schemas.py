"""Request and response bodies of the users function."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from common.emails import normalize
from common.password_policy import NewPassword
from common.schemas import MAX_EMAIL_LENGTH, STORABLE, TypedPassword, UserOut


def _valid_email(value: str) -> str:
    try:
        return normalize(value)
    except ValueError:
        raise PydanticCustomError("value_error", "value is not a valid email address") from None


Email = Annotated[
    str,
    Field(max_length=MAX_EMAIL_LENGTH, json_schema_extra={"format": "email"}),
    AfterValidator(_valid_email),
]


class UserCreate(BaseModel):
    """A new account."""

    email: Email
    password: NewPassword


class Account(UserOut):
    """An account, as its user sees it."""

    phone_number: str | None


class AccountChange(BaseModel):
    """Changes of an account. Absent fields do not change. A new e-mail requires the current password."""

    phone_number: Annotated[str, Field(max_length=50), STORABLE] | None = None
    email: Email | None = None
    current_password: TypedPassword | None = None

    @model_validator(mode="after")
    def _password_for_email(self) -> Self:
        if self.email is not None and self.current_password is None:
            raise PydanticCustomError("missing", "A new e-mail requires current_password")
        return self


class PasswordChange(BaseModel):
    """The current password and a new one."""

    current_password: TypedPassword
    new_password: NewPassword


class PasswordProof(BaseModel):
    """The current password, for an action that cannot be undone."""

    current_password: TypedPassword
