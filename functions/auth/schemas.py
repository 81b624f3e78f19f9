"""Request and response bodies of the auth function."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from common.opaque_tokens import MAX_LENGTH
from common.password_policy import NewPassword
from common.schemas import STORABLE, TypedEmail

OpaqueToken = Annotated[str, Field(max_length=MAX_LENGTH), STORABLE]


class Token(BaseModel):
    """Tokens in the form of OAuth 2.0 (RFC 6749, section 5.1); `expires_in` is in seconds."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # not a secret
    expires_in: int
    refresh_token: str


class Refresh(BaseModel):
    """A refresh token to exchange for new tokens."""

    refresh_token: OpaqueToken


class PasswordReset(BaseModel):
    """The e-mail of an account whose password is forgotten."""

    email: TypedEmail


class PasswordResetConfirmation(BaseModel):
    """The token of a mail, and a new password."""

    token: OpaqueToken
    new_password: NewPassword


class Verification(BaseModel):
    """The token of a mail that verifies an address, or reverts a change of it."""

    token: OpaqueToken
