"""Request and response bodies of the users function."""

from datetime import datetime
from typing import Annotated, Self
from urllib.parse import unquote
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Path
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from common.emails import normalize
from common.password_policy import NewPassword
from common.schemas import MAX_EMAIL_LENGTH, STORABLE, TypedPassword, UserOut

# The form with hyphens, in which responses have it.
MAX_UUID_LENGTH = 36


def _valid_email(value: str) -> str:
    try:
        return normalize(value)
    except ValueError:
        raise PydanticCustomError("value_error", "value is not a valid email address") from None


def _uuid(value: str) -> UUID:
    # The path is split into segments before they are decoded (`common.events`).
    text = unquote(value)
    try:
        return UUID(text if len(text) <= MAX_UUID_LENGTH else "")
    except ValueError:
        # The message of pydantic would repeat a character of the value.
        raise PydanticCustomError("uuid_parsing", "Input should be a valid UUID") from None


Email = Annotated[
    str,
    Field(max_length=MAX_EMAIL_LENGTH, json_schema_extra={"format": "email"}),
    AfterValidator(_valid_email),
]

PathUuid = Annotated[
    Annotated[UUID, BeforeValidator(_uuid), Field(json_schema_extra={"maxLength": MAX_UUID_LENGTH})], Path()
]


class UserCreate(BaseModel):
    """A new account."""

    email: Email
    password: NewPassword


class Account(UserOut):
    """An account, as its user sees it. `pending_email` replaces `email` when it is verified."""

    phone_number: str | None
    verified: bool
    pending_email: str | None


class Session(BaseModel):
    """A session that can be used.

    `created_at` is null if the session is from before release 2.0. `user_agent` is the start of the header of
    the login in ASCII. `current` marks the session of this request.
    """

    id: UUID
    created_at: datetime | None
    renewed_at: datetime
    user_agent: str | None
    current: bool


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
