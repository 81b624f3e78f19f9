"""The keys that access tokens are signed and verified with: a ring, of which the newest key signs.

Imported by the authorizer, whose cold start every first request waits for: nothing heavy here.
"""

import json
import logging
import os
import time
from contextlib import suppress
from typing import Final, NamedTuple

from common import aws
from common.settings import SettingsError, env_str, is_local

# RFC 7518, section 3.2: an HS256 key is at least as long as the hash, 256 bits.
MIN_KEY_BYTES: Final = 32
# How long a key that was taken out of the ring may go on being accepted.
CACHE_SECONDS: Final = 5 * 60
# Anyone can send tokens with made-up key ids: they make us look for a new ring only so often.
MIN_REFETCH_SECONDS: Final = 1.0

log = logging.getLogger(__name__)


class UnknownKeyError(Exception):
    """The ring has no key of this id."""


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
        if len(secret.encode()) < MIN_KEY_BYTES:
            raise SettingsError(f"JWT_KEYS has a key shorter than {MIN_KEY_BYTES} bytes: {kid}")
    return tuple(Key(kid, secret) for kid, secret in ring.items())


class KeyRing:
    """The keys that `JWT_KEYS` holds, or those of the Secrets Manager secret whose ARN it is.

    A secret is fetched when the function starts, but not into a snapshot, where it would grow stale and stay.
    """

    def __init__(self) -> None:
        value = env_str("JWT_KEYS")
        self._secret = value if value.startswith("arn:") else ""
        self._keys: tuple[Key, ...] = ()
        self._tried_at = 0.0
        if not self._secret:
            if not is_local():
                raise SettingsError("JWT_KEYS holds keys: that is for STAGE=local; give the ARN of a secret")
            self._keys = parse_keys(value)
        elif os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "snap-start":
            # Whoever needs a key tries again, and fails then if it must.
            with suppress(aws.AwsError, SettingsError):
                self._refresh(CACHE_SECONDS)

    def newest(self) -> Key:
        """Return the key that signs, the last of the ring; raises what `find` raises for want of a ring."""
        self._refresh(CACHE_SECONDS)
        return self._keys[-1]

    def find(self, kid: object) -> Key:
        """Return the key that a token names.

        Raises UnknownKeyError when the ring has no such key; when there is no ring to be had, AwsError, or
        SettingsError for a secret that holds none.
        """
        for max_age in (CACHE_SECONDS, MIN_REFETCH_SECONDS):
            self._refresh(max_age)
            for key in self._keys:
                if key.kid == kid:
                    return key
        raise UnknownKeyError

    def _refresh(self, max_age: float) -> None:
        """Fetch the secret, unless we tried less than `max_age` seconds ago; on failure keep the old ring."""
        now = time.time()
        if not self._secret or (self._keys and now < self._tried_at + max_age):
            return
        self._tried_at = now
        try:
            self._keys = parse_keys(aws.secret_value(self._secret))
        except (aws.AwsError, SettingsError) as error:
            if not self._keys:
                raise
            log.warning("cannot refresh the keys: %s", error)
