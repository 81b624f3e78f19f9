"""The parameter PasswordPolicy, which only concerns new passwords."""

import time
import unicodedata

import pytest

from common import password_policy
from tests.support.database import PASSWORD, Database
from tests.support.lambdas import call

pytestmark = pytest.mark.usefixtures("_cheap_hashes")

TOO_SHORT = ["p", "1234567", "\u00e9" * 7, "e\u0301" * 7, "\ud55c" * 7]
COMMON = ["password", "PassWord", "12345678", "qwertyuiop", "\uff50assword", "iloveyou1"]
ACCEPTED = ["correct horse", "\u00e9" * 8, "pa$$word of mine", "passwordpassword!"]


@pytest.fixture
def _strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the policy of the stages on AWS."""
    monkeypatch.setattr(password_policy, "IS_STRICT", True)


@pytest.mark.usefixtures("_strict")
@pytest.mark.parametrize(
    ("password", "kind"),
    [(each, "string_too_short") for each in TOO_SHORT] + [(each, "password_too_common") for each in COMMON],
)
def test_strict_rejects_short_and_common_passwords(password: str, kind: str, ada: int) -> None:
    change = {"current_password": PASSWORD, "new_password": password}
    for response, field in (
        (call("sign_up", body={"email": "bob@example.com", "password": password}), "password"),
        (call("update_password", user=ada, body=change), "new_password"),
    ):
        assert response.status == 422
        [error] = response.json()["detail"]
        assert (error["type"], error["loc"]) == (kind, ["body", field])
        assert error.keys() == {"type", "loc", "msg"}


@pytest.mark.usefixtures("_strict")
@pytest.mark.parametrize("password", ACCEPTED)
def test_strict_accepts_others(password: str) -> None:
    assert call("sign_up", body={"email": "bob@example.com", "password": password}).status == 201


@pytest.mark.parametrize("password", [*TOO_SHORT, *COMMON])
def test_reference_accepts_all(password: str) -> None:
    assert call("sign_up", body={"email": "bob@example.com", "password": password}).status == 201


def test_strict_concerns_new_passwords_only(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("sign_up", body={"email": "bob@example.com", "password": "p"}).status == 201
    bob = database.value("SELECT id FROM users")
    database.add_session(bob)
    monkeypatch.setattr(password_policy, "IS_STRICT", True)
    assert call("login", body="username=bob%40example.com&password=p").status == 200
    change = {"current_password": "p", "new_password": "correct horse"}
    assert call("update_password", user=bob, body=change).status == 204


def test_the_list_has_10_000_passwords_in_the_form_that_is_compared() -> None:
    lines = password_policy.COMMON_PASSWORDS.read_text().split("\n")
    assert [line[:2] for line in lines[:2]] == ["# ", "# "]
    passwords = lines[2:-1]
    assert len(passwords) == 10_000
    assert passwords == sorted(set(passwords))
    assert all(unicodedata.normalize("NFKC", each).lower() == each for each in passwords)
    assert lines[-1] == ""


@pytest.mark.usefixtures("_strict")
@pytest.mark.parametrize("password", ["correct horse", "\u00e9" * 36, "z" * 72])
def test_a_check_takes_less_than_a_millisecond(password: str) -> None:
    seconds = []
    for _ in range(20):
        begin = time.perf_counter()
        password_policy.check(password)
        seconds.append(time.perf_counter() - begin)
    # The least time counts, because everything else on the machine only adds to it.
    assert min(seconds) < 0.001
