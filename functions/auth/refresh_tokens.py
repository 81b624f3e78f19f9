"""Refresh tokens: random strings, of which the database stores only hashes."""

import base64
import hashlib
import hmac
import secrets

from common.keys import Key

RANDOM_BYTES = 32


def generate() -> str:
    """Return the first refresh token of a session."""
    return secrets.token_urlsafe(RANDOM_BYTES)


def successor(token: str, key: Key) -> str:
    """Return the token that replaces a refresh token: the same one for every use of it.

    It cannot be derived without the key. The prefix keeps its HMAC apart from the signatures of access
    tokens.
    """
    mac = hmac.digest(key.secret.encode(), b"refresh token " + token.encode(), "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def digest(token: str) -> str:
    """Return the hash of a token. Because tokens are random, it needs no salt and may be fast."""
    return hashlib.sha256(token.encode()).hexdigest()
