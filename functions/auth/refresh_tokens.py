"""Refresh tokens: random texts, of which the database keeps only hashes."""

import hashlib
import secrets

RANDOM_BYTES = 32


def generate() -> str:
    """Return a new refresh token."""
    return secrets.token_urlsafe(RANDOM_BYTES)


def digest(token: str) -> str:
    """Return what the database knows a token by; as random as a key, it needs no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()
