"""Password hashes: bcrypt at cost 12, about a quarter of a second on one vCPU."""

import bcrypt

COST = 12
# bcrypt reads no further; a longer password is refused, for cutting it would let a part of it in.
MOST_BYTES = 72
# The hash of a random password that nobody knows: checking it takes as long as checking a real one.
NOBODY = "$2b$12$VQs0q9cXKIlhlQ78CDBx5u/Su0xYPi3JXb1SGWDBLLYrlGi.QEV02"


def hash_password(password: str) -> str:
    """Return the salted bcrypt hash of a password of at most 72 bytes in UTF-8."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(COST)).decode()


def verify_password(password: str, hashed: str | None) -> bool:
    """Tell whether the password has this hash, in the same time when there is no hash to compare with."""
    secret = password.encode()
    matches = bcrypt.checkpw(secret[:MOST_BYTES], (hashed or NOBODY).encode())
    return matches and hashed is not None and len(secret) <= MOST_BYTES
