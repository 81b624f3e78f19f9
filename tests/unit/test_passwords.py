"""common.passwords."""

import bcrypt
import pytest

from common import passwords
from common.passwords import hash_password, verify_password
from tests.support.database import PASSWORD, PASSWORD_HASH


def test_a_password_is_hashed_at_cost_12_with_a_salt_of_its_own() -> None:
    first, second = hash_password("correct horse"), hash_password("correct horse")
    assert first != second
    assert first.startswith("$2b$12$")
    assert bcrypt.checkpw(b"correct horse", first.encode())


@pytest.mark.parametrize("password", ["p", "p" * 72, "ä" * 36, "🔑" * 18, " "])
def test_a_password_verifies_against_its_hash_and_no_other_does(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "BCRYPT_COST", 4)
    hashed = hash_password(password)
    assert verify_password(password, hashed)
    assert not verify_password(password[:-1], hashed)
    assert not verify_password(password + "p", hashed)
    assert not verify_password(password.upper() + "x", hashed)


def test_nobody_has_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not verify_password(PASSWORD, None)
    # Not even the one that matches the hash which stands in for theirs.
    monkeypatch.setattr(passwords, "DUMMY_HASH", PASSWORD_HASH)
    assert not verify_password(PASSWORD, None)


def test_the_hash_that_stands_in_costs_as_much_as_a_real_one() -> None:
    assert passwords.DUMMY_HASH.startswith(f"$2b${passwords.BCRYPT_COST}$")
