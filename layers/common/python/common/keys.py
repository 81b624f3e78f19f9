"""The key ring of access tokens. The newest key that all functions know signs; all keys in the ring verify.

The authorizer imports this module, and its cold start delays every route: import nothing slow here.
"""

import json
import logging
import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple

from common import aws
from common.settings import SettingsError, env_str, is_local

# An HS256 key must be at least as long as the hash, 256 bits (RFC 7518, section 3.2).
MIN_KEY_BYTES: Final = 32
# How long a ring is cached, and thus how long a key is still accepted after its removal from the secret.
CACHE_SECONDS: Final = 5 * 60
# A new key signs only when every function has fetched it: a function treats a token with an unknown key as
# invalid, and API Gateway may cache this result. The delay is twice CACHE_SECONDS, because clocks differ and
# a rotation takes time.
SIGNING_DELAY_SECONDS: Final = 2 * CACHE_SECONDS
# The pause after a failed attempt to replace an old ring.
RETRY_SECONDS: Final = 10
# A key id is the time at which the key was created, in UTC.
KID_FORMAT: Final = "%Y%m%dT%H%M%SZ"

log = logging.getLogger(__name__)


class UnknownKeyError(Exception):
    """The key ring is up to date and has no key with this id."""


class Key(NamedTuple):
    """A key, and its id (`kid`) in the header of tokens."""

    kid: str
    secret: str

    def created_at(self) -> float | None:
        """Return the Unix time at which the key was created, or None if its id is not a time."""
        try:
            return datetime.strptime(self.kid, KID_FORMAT).replace(tzinfo=UTC).timestamp()
        except ValueError:
            return None


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

    A secret is fetched during init, except before a SnapStart snapshot, because the ring in the snapshot
    would become outdated. Raises SettingsError if JWT_KEYS is missing, or if it holds keys outside a local
    run.
    """

    def __init__(self) -> None:
        value = env_str("JWT_KEYS")
        self._secret_arn = value if value.startswith("arn:") else ""
        self._keys: tuple[Key, ...] = ()
        self._next_fetch_at = 0.0
        self._failure: aws.AwsError | SettingsError | None = None
        if not self._secret_arn:
            if not is_local():
                raise SettingsError(
                    "JWT_KEYS holds keys, which only STAGE=local may do: give the ARN of a secret"
                )
            self._keys = parse_keys(value)
        elif os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "snap-start":
            # On failure, the first request that needs a key tries again.
            with suppress(aws.AwsError, SettingsError):
                self._refresh()

    def signing_key(self) -> Key:
        """Return the key that signs: the newest one that is at least SIGNING_DELAY_SECONDS old.

        If every key is newer, for example after an emergency rotation, it is the oldest one.

        Raises AwsError or SettingsError if there is no valid ring.
        """
        self._refresh()
        latest = time.time() - SIGNING_DELAY_SECONDS
        known_everywhere = [key for key in self._keys if (key.created_at() or 0) <= latest]
        return known_everywhere[-1] if known_everywhere else self._keys[0]

    def all(self) -> tuple[Key, ...]:
        """Return the keys that were fetched last, oldest first."""
        return self._keys

    def find(self, kid: object) -> Key:
        """Return the key with this id.

        Raises UnknownKeyError if the ring has no such key and is at most CACHE_SECONDS old. Raises AwsError
        if the ring is older because it cannot be fetched, and AwsError or SettingsError if no ring was ever
        fetched.
        """
        self._refresh()
        for key in self._keys:
            if key.kid == kid:
                return key
        if self._failure:
            raise aws.AwsError(f"unknown key id, and the key ring is outdated: {self._failure}")
        raise UnknownKeyError

    def _refresh(self) -> None:
        """Fetch the ring if it is CACHE_SECONDS old; on failure, keep it for RETRY_SECONDS more."""
        now = time.time()
        if not self._secret_arn or now < self._next_fetch_at:
            return
        try:
            self._keys = parse_keys(aws.secret_value(self._secret_arn))
        except (aws.AwsError, SettingsError) as error:
            if not self._keys:
                raise
            log.warning("cannot refresh the keys: %s", error)
            self._failure, self._next_fetch_at = error, now + RETRY_SECONDS
        else:
            self._failure, self._next_fetch_at = None, now + CACHE_SECONDS
