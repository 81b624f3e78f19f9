"""common.passwords."""

import bcrypt
import pytest

from common import passwords
from common.passwords import hash_password, verify_password
from tests.support.database import PASSWORD, PASSWORD_HASH


def test_a_password_is_hashed_with_cost_12_and_its_own_salt() -> None:
    first, second = hash_password("correct horse"), hash_password("correct horse")
    assert first != second
    assert first.startswith("$2b$12$")
    assert bcrypt.checkpw(b"correct horse", first.encode())


@pytest.mark.parametrize("password", ["p", "p" * 72, "ä" * 36, "🔑" * 18, " "])
def test_a_hash_verifies_only_its_password(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "BCRYPT_COST", 4)
    hashed = hash_password(password)
    assert verify_password(password, hashed)
    assert not verify_password(password[:-1], hashed)
    assert not verify_password(password + "p", hashed)
    assert not verify_password(password.upper() + "x", hashed)


def test_no_password_matches_a_missing_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not verify_password(PASSWORD, None)
    # Not even the password of the dummy hash.
    monkeypatch.setattr(passwords, "DUMMY_HASH", PASSWORD_HASH)
    assert not verify_password(PASSWORD, None)


def test_the_dummy_hash_costs_as_much_as_a_real_one() -> None:
    assert passwords.DUMMY_HASH.startswith(f"$2b${passwords.BCRYPT_COST}$")
