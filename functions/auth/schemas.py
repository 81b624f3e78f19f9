"""What the login function answers."""

from typing import Literal

from pydantic import BaseModel


class Token(BaseModel):
    """An access token, as OAuth 2.0 hands it out (RFC 6749, section 5.1)."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # it says how to use the token
