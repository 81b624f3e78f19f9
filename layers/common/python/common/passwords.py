"""Password hashes: bcrypt with cost 12, which takes about 250 ms on one vCPU."""

import bcrypt

BCRYPT_COST = 12
# bcrypt ignores everything after 72 bytes, so we reject longer passwords.
MAX_PASSWORD_BYTES = 72
# The hash of a discarded random password. Checking it takes as long as checking the hash of a user.
DUMMY_HASH = "$2b$12$VQs0q9cXKIlhlQ78CDBx5u/Su0xYPi3JXb1SGWDBLLYrlGi.QEV02"


def hash_password(password: str) -> str:
    """Return the salted bcrypt hash of a password of at most 72 bytes in UTF-8."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(BCRYPT_COST)).decode()


def verify_password(password: str, password_hash: str | None) -> bool:
    """Return whether the password has this hash. It takes the same time if the hash is None."""
    secret = password.encode()
    matches = bcrypt.checkpw(secret[:MAX_PASSWORD_BYTES], (password_hash or DUMMY_HASH).encode())
    return matches and password_hash is not None and len(secret) <= MAX_PASSWORD_BYTES
