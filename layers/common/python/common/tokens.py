"""Access tokens: HS256 JWTs, signed with the newest key of a ring and verified with any key in it.

Imported by the authorizer, whose cold start every first request waits for: nothing heavy here.
"""

import json
import time
from typing import NamedTuple

import jwt

from common.settings import SettingsError, required

ALGORITHM = "HS256"
ISSUER = "social"
AUDIENCE = "social-api"
# RFC 7518, section 3.2: an HS256 key is at least as long as the hash, 256 bits.
KEY_BYTES = 32
LARGEST_ID = 2**31 - 1


class InvalidTokenError(Exception):
    """The token is not one of ours, or no longer. Why is for logs, not for its bearer."""


class Key(NamedTuple):
    """One key of the ring and the `kid` that tokens name it by."""

    kid: str
    secret: str


def parse_keys(document: str) -> tuple[Key, ...]:
    """Parse a JSON object of kid to key, oldest first; SettingsError when it is malformed or a key short."""
    try:
        ring = json.loads(document)
    except ValueError:
        raise SettingsError("JWT_KEYS is not JSON: give an object of kid to key") from None
    if not (isinstance(ring, dict) and ring and all(isinstance(key, str) for key in ring.values())):
        raise SettingsError('JWT_KEYS is not an object of kid to key, as in {"2026-01": "<32 random bytes>"}')
    for kid, secret in ring.items():
        if len(secret.encode()) < KEY_BYTES:
            raise SettingsError(f"JWT_KEYS has a key shorter than {KEY_BYTES} bytes: {kid}")
    return tuple(Key(kid, secret) for kid, secret in ring.items())


class Bearer(NamedTuple):
    """Who bears a token: a user, in the session (a UUID) that a login opened."""

    user_id: int
    session_id: str


class KeyRing:
    """The keys that `JWT_KEYS` holds."""

    def __init__(self) -> None:
        self._keys = parse_keys(required("JWT_KEYS"))

    def newest(self) -> Key:
        """Return the key that signs: the last of the ring."""
        return self._keys[-1]

    def find(self, kid: object) -> Key:
        """Return the key that a token names; InvalidTokenError when the ring has no such key."""
        for key in self._keys:
            if key.kid == kid:
                return key
        raise InvalidTokenError("unknown kid")


def sign(bearer: Bearer, key: Key, *, lifetime: int) -> str:
    """Return an access token that is valid for `lifetime` seconds from now."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(bearer.user_id),
        "user_id": bearer.user_id,
        "sid": bearer.session_id,
        "iat": now,
        "exp": now + lifetime,
    }
    return jwt.encode(claims, key.secret, algorithm=ALGORITHM, headers={"kid": key.kid})


def verify(token: str, ring: KeyRing) -> Bearer:
    """Return whose token this is; InvalidTokenError when it proves nothing.

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
    except jwt.PyJWTError as error:
        raise InvalidTokenError(type(error).__name__) from None
    user_id = claims["user_id"]
    if type(user_id) is not int or not 0 < user_id <= LARGEST_ID or claims["sub"] != str(user_id):
        raise InvalidTokenError("user_id and sub do not name one user")
    return Bearer(user_id, str(claims["sid"]))
