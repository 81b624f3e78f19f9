"""Password hashes: bcrypt at cost 12, about a quarter of a second on one vCPU."""

import bcrypt

BCRYPT_COST = 12
# bcrypt reads no further; a longer password is refused, for cutting it would let a part of it in.
MAX_PASSWORD_BYTES = 72
# The hash of a random password that nobody knows: checking it takes as long as checking a real one.
DUMMY_HASH = "$2b$12$VQs0q9cXKIlhlQ78CDBx5u/Su0xYPi3JXb1SGWDBLLYrlGi.QEV02"


def hash_password(password: str) -> str:
    """Return the salted bcrypt hash of a password of at most 72 bytes in UTF-8."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(BCRYPT_COST)).decode()


def verify_password(password: str, password_hash: str | None) -> bool:
    """Tell whether the password has this hash, in the same time when there is no hash to compare with."""
    secret = password.encode()
    matches = bcrypt.checkpw(secret[:MAX_PASSWORD_BYTES], (password_hash or DUMMY_HASH).encode())
    return matches and password_hash is not None and len(secret) <= MAX_PASSWORD_BYTES
