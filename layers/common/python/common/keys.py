"""The key ring of access tokens. The newest key signs; every key in the ring verifies.

The authorizer imports this module, and its cold start delays every route: import nothing slow here.
"""

import json
import logging
import os
import time
from contextlib import suppress
from typing import Final, NamedTuple

from common import aws
from common.settings import SettingsError, env_str, is_local

# An HS256 key must be at least as long as the hash, 256 bits (RFC 7518, section 3.2).
MIN_KEY_BYTES: Final = 32
# How long a ring is cached, and thus how long a key is still accepted after its removal from the secret.
CACHE_SECONDS: Final = 5 * 60
# An unknown key id makes us fetch the ring before the cache expires. Because anyone can invent key ids, we do
# so at most this often.
MIN_REFETCH_SECONDS: Final = 1.0

log = logging.getLogger(__name__)


class UnknownKeyError(Exception):
    """The key ring has no key with this id."""


class Key(NamedTuple):
    """A key, and its id (`kid`) in the header of tokens."""

    kid: str
    secret: str


def parse_keys(document: str) -> tuple[Key, ...]:
    """Parse a JSON object that maps key ids to keys, oldest first.

    Raises SettingsError if it is malformed or if a key is too short.
    """
    try:
        ring = json.loads(document)
    except ValueError:
        raise SettingsError("JWT_KEYS is not JSON: give an object that maps key ids to keys") from None
    if not (isinstance(ring, dict) and ring and all(isinstance(key, str) for key in ring.values())):
        raise SettingsError(
            'JWT_KEYS is not an object that maps key ids to keys, like {"2026-01": "<32 random bytes>"}'
        )
    for kid, secret in ring.items():
        if len(secret.encode()) < MIN_KEY_BYTES:
            raise SettingsError(f"JWT_KEYS has a key shorter than {MIN_KEY_BYTES} bytes: {kid}")
    return tuple(Key(kid, secret) for kid, secret in ring.items())


class KeyRing:
    """The keys in the environment variable JWT_KEYS, or in the Secrets Manager secret whose ARN it holds.

    A secret is fetched during init, except before a SnapStart snapshot, because the ring in it would become
    outdated. Raises SettingsError if JWT_KEYS is missing, or if it holds keys outside a local run.
    """

    def __init__(self) -> None:
        value = env_str("JWT_KEYS")
        self._secret_arn = value if value.startswith("arn:") else ""
        self._keys: tuple[Key, ...] = ()
        self._tried_at = 0.0
        if not self._secret_arn:
            if not is_local():
                raise SettingsError(
                    "JWT_KEYS holds keys, which only STAGE=local may do: give the ARN of a secret"
                )
            self._keys = parse_keys(value)
        elif os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "snap-start":
            # On failure, the first request that needs a key tries again.
            with suppress(aws.AwsError, SettingsError):
                self._refresh(CACHE_SECONDS)

    def newest(self) -> Key:
        """Return the key that signs; raises AwsError or SettingsError if there is no valid ring."""
        self._refresh(CACHE_SECONDS)
        return self._keys[-1]

    def all(self) -> tuple[Key, ...]:
        """Return the keys that were fetched last, oldest first."""
        return self._keys

    def find(self, kid: object) -> Key:
        """Return the key with this id.

        Raises UnknownKeyError if the ring has no such key. Raises AwsError if no ring can be fetched, or
        SettingsError if the secret does not hold a valid one.
        """
        for max_age in (CACHE_SECONDS, MIN_REFETCH_SECONDS):
            self._refresh(max_age)
            for key in self._keys:
                if key.kid == kid:
                    return key
        raise UnknownKeyError

    def _refresh(self, max_age: float) -> None:
        """Fetch the ring, unless we tried less than `max_age` seconds ago. On failure, keep the old ring."""
        now = time.time()
        if not self._secret_arn or (self._keys and now < self._tried_at + max_age):
            return
        self._tried_at = now
        try:
            self._keys = parse_keys(aws.secret_value(self._secret_arn))
        except (aws.AwsError, SettingsError) as error:
            if not self._keys:
                raise
            log.warning("cannot refresh the keys: %s", error)
