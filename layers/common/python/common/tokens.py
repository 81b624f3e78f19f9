"""Access tokens: HS256 JWTs, signed with one key of the key ring and verified with any key in it.

The authorizer imports this module, and its cold start delays every route: import nothing slow here.
"""

import time

import jwt

from common.keys import Key, KeyRing, UnknownKeyError
from common.principal import Principal

ALGORITHM = "HS256"
ISSUER = "social"
AUDIENCE = "social-api"
# The maximum of PostgreSQL's INTEGER. Not imported from `common.schemas`, because that imports pydantic.
MAX_USER_ID = 2**31 - 1
# The clock of the function that signs may be ahead of the clock of the authorizer.
LEEWAY_SECONDS = 5


class InvalidTokenError(Exception):
    """The token is not valid. The message is for logs; clients must not see why."""


def sign(principal: Principal, key: Key, *, lifetime: int) -> str:
    """Return an access token of the principal that expires `lifetime` seconds from now."""
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
    """Return the principal of a token.

    The algorithm is pinned, and every claim that `sign` sets is required (RFC 8725, section 3).

    Raises InvalidTokenError if the token is not valid, and AwsError or SettingsError if there is no key ring.
    """
    try:
        key = ring.find(jwt.get_unverified_header(token).get("kid"))
        claims = jwt.decode(
            token,
            key.secret,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            leeway=LEEWAY_SECONDS,
            options={"require": ["iss", "aud", "sub", "iat", "exp", "user_id", "sid"]},
        )
    except (jwt.PyJWTError, UnknownKeyError, ValueError) as error:
        raise InvalidTokenError(type(error).__name__) from None
    if int(claims["exp"]) <= time.time():  # without the leeway, which is for `iat`
        raise InvalidTokenError("expired")
    user_id = claims["user_id"]
    if type(user_id) is not int or not 0 < user_id <= MAX_USER_ID or claims["sub"] != str(user_id):
        raise InvalidTokenError("user_id and sub do not name one user")
    return Principal(user_id, str(claims["sid"]))
