"""Password hashes: bcrypt with cost 12, which takes about 250 ms on one vCPU.

The same password reaches us in several forms, for example with composed letters from one device and with
decomposed letters from another. We hash the form NFKC of Unicode (NIST SP 800-63B, section 5.1.1.2).
"""

import unicodedata

import bcrypt

BCRYPT_COST = 12
# bcrypt ignores everything after 72 bytes, so we reject longer passwords.
MAX_PASSWORD_BYTES = 72
# The hash of a discarded random password. Checking it takes as long as checking the hash of a user.
DUMMY_HASH = "$2b$12$VQs0q9cXKIlhlQ78CDBx5u/Su0xYPi3JXb1SGWDBLLYrlGi.QEV02"


def normalize(password: str) -> str:
    """Return the form of a password that is hashed. Check the length first: this takes quadratic time."""
    return unicodedata.normalize("NFKC", password)


def hash_password(password: str) -> str:
    """Return the salted bcrypt hash of a password, which is at most 72 bytes long in both forms."""
    return bcrypt.hashpw(normalize(password).encode(), bcrypt.gensalt(BCRYPT_COST)).decode()


def verify_password(password: str, password_hash: str | None) -> bool:
    """Return whether the password has this hash. It takes the same time if the hash is None.

    Hashes of earlier releases are those of the form that was typed, so that form is checked as well.
    """
    normalized = normalize(password)
    if _has_hash(normalized, password_hash):
        return True
    return password != normalized and _has_hash(password, password_hash)


def _has_hash(password: str, password_hash: str | None) -> bool:
    secret = password.encode()
    matches = bcrypt.checkpw(secret[:MAX_PASSWORD_BYTES], (password_hash or DUMMY_HASH).encode())
    return matches and password_hash is not None and len(secret) <= MAX_PASSWORD_BYTES
