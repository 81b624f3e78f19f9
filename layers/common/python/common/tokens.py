"""Access tokens: HS256 JWTs, signed with the newest key of a ring and verified with any key in it.

Imported by the authorizer, whose cold start every first request waits for: nothing heavy here.
"""

import time
from typing import NamedTuple

from common.keys import Key, KeyRing, UnknownKeyError
from common.pyjwt import jwt

ALGORITHM = "HS256"
ISSUER = "social"
AUDIENCE = "social-api"
MAX_USER_ID = 2**31 - 1


class InvalidTokenError(Exception):
    """The token is not one of ours, or no longer. Why is for logs, not for its principal."""


class Principal(NamedTuple):
    """Who bears a token: a user, in the session (a UUID) that a login opened."""

    user_id: int
    session_id: str


def sign(principal: Principal, key: Key, *, lifetime: int) -> str:
    """Return an access token that is valid for `lifetime` seconds from now."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(principal.user_id),
        "user_id": principal.user_id,
        "sid": principal.session_id,
        "iat": now,
        "exp": now + lifetime,
    }
    return jwt.encode(claims, key.secret, algorithm=ALGORITHM, headers={"kid": key.kid})


def verify(token: str, ring: KeyRing) -> Principal:
    """Return whose token this is; InvalidTokenError when it proves nothing, AwsError when no keys can be had.

    The algorithm is pinned and every registered claim that we set is required (RFC 8725, section 3).
    """
    try:
        key = ring.find(jwt.get_unverified_header(token).get("kid"))
        claims = jwt.decode(
            token,
            key.secret,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": ["iss", "aud", "sub", "iat", "exp", "user_id", "sid"]},
        )
    except (jwt.PyJWTError, UnknownKeyError, ValueError) as error:
        raise InvalidTokenError(type(error).__name__) from None
    user_id = claims["user_id"]
    if type(user_id) is not int or not 0 < user_id <= MAX_USER_ID or claims["sub"] != str(user_id):
        raise InvalidTokenError("user_id and sub do not name one user")
    return Principal(user_id, str(claims["sid"]))
