"""Opaque tokens: random strings that clients present, of which the database stores only hashes."""

import hashlib
import secrets

RANDOM_BYTES = 32
# A token has 43 characters.
MAX_LENGTH = 100


def generate() -> str:
    """Return a new token."""
    return secrets.token_urlsafe(RANDOM_BYTES)


def digest(token: str) -> str:
    """Return the hash of a token. Because tokens are random, it needs no salt and may be fast."""
    return hashlib.sha256(token.encode()).hexdigest()
