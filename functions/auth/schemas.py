"""What clients of the auth function send, and what it answers."""

from typing import Literal

from pydantic import BaseModel

from common.schemas import Text


class Token(BaseModel):
    """Tokens, as OAuth 2.0 hands them out (RFC 6749, section 5.1); `expires_in` is in seconds."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # it says how to use the token
    expires_in: int
    refresh_token: str


class Refresh(BaseModel):
    """A refresh token to trade for new tokens."""

    refresh_token: Text
