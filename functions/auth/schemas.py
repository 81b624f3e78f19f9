"""Request and response bodies of the auth function."""

from typing import Literal

from pydantic import BaseModel

from common.schemas import Text


class Token(BaseModel):
    """Tokens in the form of OAuth 2.0 (RFC 6749, section 5.1); `expires_in` is in seconds."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # not a secret
    expires_in: int
    refresh_token: str


class Refresh(BaseModel):
    """A refresh token to exchange for new tokens."""

    refresh_token: Text
