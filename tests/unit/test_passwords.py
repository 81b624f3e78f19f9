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


# The form NFKC of a password, and another form of it.
FORMS = [
    ("zo\u00eb", "zoe\u0308"),
    ("\uac01", "\u1100\u1161\u11a8"),
    ("fish", "\ufb01sh"),
    ("123", "\uff11\u00b2\u2462"),
    ("a b", "a\u00a0b"),
]


@pytest.mark.parametrize(("normalized", "other"), FORMS)
def test_a_password_matches_in_each_of_its_forms(
    normalized: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "BCRYPT_COST", 4)
    for hashed in (hash_password(normalized), hash_password(other)):
        assert verify_password(normalized, hashed)
        assert verify_password(other, hashed)
        assert not verify_password(other + "x", hashed)


@pytest.mark.parametrize(("normalized", "other"), FORMS)
def test_a_hash_of_an_earlier_release_matches_the_form_that_was_typed(normalized: str, other: str) -> None:
    typed = bcrypt.hashpw(other.encode(), bcrypt.gensalt(4)).decode()
    assert verify_password(other, typed)
    assert not verify_password(normalized, typed)


def test_only_a_form_of_at_most_72_bytes_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "BCRYPT_COST", 4)
    hashed = hash_password("\u00eb" * 36)
    assert verify_password("e\u0308" * 36, hashed)  # 108 bytes as typed
    assert not verify_password("e\u0308" * 37, hashed)
    typed = bcrypt.hashpw(("e\u0308" * 24).encode(), bcrypt.gensalt(4)).decode()
    assert verify_password("e\u0308" * 24, typed)
    assert not verify_password("e\u0308" * 25, typed)


def test_no_password_matches_a_missing_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not verify_password(PASSWORD, None)
    # Not even the password of the dummy hash.
    monkeypatch.setattr(passwords, "DUMMY_HASH", PASSWORD_HASH)
    assert not verify_password(PASSWORD, None)


def test_the_dummy_hash_costs_as_much_as_a_real_one() -> None:
    assert passwords.DUMMY_HASH.startswith(f"$2b${passwords.BCRYPT_COST}$")
