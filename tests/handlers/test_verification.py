"""Verified addresses: after a sign-up, after a change of the e-mail, and the revert of such a change."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest

from auth import addresses
from common import mail
from common.mail import Mail, MailError
from common.opaque_tokens import digest
from local.mail import Mailbox
from tests.support.database import PASSWORD, PER_DAY, Database, principal_of
from tests.support.lambdas import Response, call

ADA, NEW, NEWER = "ada@example.com", "lovelace@example.com", "byron@example.com"
UNUSABLE = {"detail": "This link was used already, has expired, or was replaced by a newer one"}
TAKEN = {"detail": "A user with this e-mail exists already"}
LINK = re.compile(r"^https://app\.example\.com/account#(\w+)=(\S+)$", re.MULTILINE)
DAY = 24 * 60 * 60

pytestmark = pytest.mark.usefixtures("_cheap_hashes", "mailbox")


@pytest.fixture
def _no_mail(monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox) -> None:
    """Let the functions send no mail."""
    assert mailbox.mails() == {}
    monkeypatch.setenv("MAIL_FROM", "")


def links(mailbox: Mailbox, recipient: str, purpose: str) -> list[str]:
    """Return the tokens in the links of the mails to an address, the newest first."""
    mails = [each.get_content() for each in mailbox.mails().values() if each["To"] == recipient]
    return [token for each in mails for kind, token in LINK.findall(each) if kind == purpose]


def subjects(mailbox: Mailbox) -> list[tuple[str, str]]:
    """Return recipients and subjects of the mails, the oldest first."""
    return [(each["To"], each["Subject"]) for each in reversed(mailbox.mails().values())]


def sign_up(email: str = ADA) -> Response:
    return call("sign_up", body={"email": email, "password": PASSWORD})


def log_in(email: str = ADA, password: str = PASSWORD) -> Response:
    return call("login", body=urlencode({"username": email, "password": password}))


def account(user: int) -> tuple[str, bool, str | None]:
    """Return the e-mail, whether it is verified, and the pending one."""
    body = call("read_account", user=user).json()
    return body["email"], body["verified"], body["pending_email"]


def change(user: int, email: str, **fields: object) -> Response:
    return call("update_account", user=user, body={"email": email, "current_password": PASSWORD, **fields})


def confirm(token: str) -> Response:
    return call("confirm_verification", body={"token": token})


def change_and_confirm(mailbox: Mailbox, user: int, email: str) -> None:
    assert change(user, email).status == 200
    assert confirm(links(mailbox, email, "verify")[0]).status == 204


def pass_time(database: Database, seconds: float) -> None:
    """Let everything be so much longer ago."""
    for table, column in (("mail_tokens", "expires_at"), ("quota_usage", "resets_at")):
        database.run(
            f"UPDATE {table} SET {column} = {column} - make_interval(secs => :seconds)", seconds=seconds
        )


def fail(_mail: Mail) -> None:
    raise MailError("SES did not accept the mail")


# ---- After a sign-up -------------------------------------------------------------------------------------


def test_a_sign_up_sends_a_link_that_verifies_the_address(mailbox: Mailbox, database: Database) -> None:
    user = sign_up().json()["id"]
    database.add_session(user)
    assert subjects(mailbox) == [(ADA, "Verify your e-mail address")]
    assert account(user) == (ADA, False, None)
    [token] = links(mailbox, ADA, "verify")
    response = confirm(token)
    assert (response.status, response.body) == (204, "")
    assert account(user) == (ADA, True, None)
    assert confirm(token).json() == UNUSABLE


def test_a_taken_address_gets_no_mail(ada: int, mailbox: Mailbox) -> None:
    assert sign_up().status == 409
    assert mailbox.mails() == {}
    assert ada


def test_a_failed_mail_does_not_fail_the_sign_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "send", fail)
    assert sign_up().status == 201
    assert log_in().status == 200


@pytest.mark.usefixtures("_no_mail")
def test_without_mail_a_sign_up_creates_no_token(database: Database) -> None:
    assert sign_up().status == 201
    assert database.run("SELECT * FROM mail_tokens") == []


def test_another_link_can_be_requested_and_replaces_the_first(mailbox: Mailbox, database: Database) -> None:
    user = sign_up().json()["id"]
    database.add_session(user)
    response = call("request_verification", user=user)
    assert (response.status, response.json()) == (
        202,
        {"message": "We have sent a link to verify your e-mail"},
    )
    assert subjects(mailbox) == [(ADA, "Verify your e-mail address")] * 2
    newer, older = links(mailbox, ADA, "verify")
    assert confirm(older).json() == UNUSABLE
    assert confirm(newer).status == 204
    response = call("request_verification", user=user)
    assert (response.status, response.json()) == (409, {"detail": "Your e-mail is verified already"})


def test_a_day_has_five_mails_to_verify_an_address(ada: int, mailbox: Mailbox, database: Database) -> None:
    for _ in range(5):
        assert call("request_verification", user=ada).status == 202
    last = links(mailbox, ADA, "verify")[0]
    response = call("request_verification", user=ada)
    assert response.status == 429
    [seconds] = response.headers["Retry-After"]
    assert DAY - 60 < int(seconds) <= DAY
    assert len(mailbox.mails()) == 5
    assert confirm(last).status == 204
    pass_time(database, DAY)
    assert call("request_verification", user=ada).status == 409


def test_requests_that_send_no_mail_and_changes_of_the_profile_do_not_count(
    ada: int, database: Database
) -> None:
    for _ in range(6):
        assert call("update_account", user=ada, body={"phone_number": "1"}).status == 200
    database.run("UPDATE users SET verified_email = email")
    for _ in range(6):
        assert call("request_verification", user=ada).status == 409
    database.run("UPDATE users SET verified_email = NULL")
    assert call("request_verification", user=ada).status == 202


def test_a_verification_that_cannot_be_sent_is_503(ada: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "send", fail)
    response = call("request_verification", user=ada)
    assert (response.status, response.json()) == (
        503,
        {"detail": "The mail could not be sent, try again later"},
    )


@pytest.mark.usefixtures("_no_mail")
def test_without_mail_no_verification_can_be_requested(ada: int) -> None:
    response = call("request_verification", user=ada)
    assert (response.status, response.json()) == (404, {"detail": "This deployment sends no mail"})
    assert confirm("x").status == 403


def test_a_deleted_user_can_request_no_verification(deleted_user: int) -> None:
    assert call("request_verification", user=deleted_user).status == 401


@pytest.mark.parametrize("body", [{}, {"token": 1}, {"token": "x" * 101}, {"token": "x\0"}])
def test_an_invalid_token_is_rejected(body: object) -> None:
    response = call("confirm_verification", body=body)
    assert response.status == 422
    assert response.json()["detail"][0]["loc"] == ["body", "token"]


CHANGES = {
    "the address": "UPDATE users SET email = 'another@example.com'",
    "the password": "UPDATE users SET password = 'another'",
    "the account": "DELETE FROM users",
    "the mark of a deleted account": "UPDATE users SET deleted_at = now()",
    "the time": "UPDATE mail_tokens SET expires_at = expires_at - interval '24 hours'",
    "the purpose": "UPDATE mail_tokens SET purpose = 'reset'",
}


@pytest.mark.parametrize("changed", CHANGES)
def test_a_token_is_unusable_after_a_change_of(
    changed: str, ada: int, mailbox: Mailbox, database: Database
) -> None:
    assert call("request_verification", user=ada).status == 202
    database.run(CHANGES[changed])
    assert confirm(links(mailbox, ADA, "verify")[0]).json() == UNUSABLE
    assert database.run("SELECT id FROM users WHERE verified_email IS NOT NULL") == []


def test_an_address_that_something_else_changed_is_not_verified(ada: int, database: Database) -> None:
    database.run("UPDATE users SET verified_email = email")
    assert account(ada) == (ADA, True, None)
    database.run("UPDATE users SET email = 'another@example.com'")
    assert account(ada) == ("another@example.com", False, None)


# ---- A change of the e-mail ------------------------------------------------------------------------------


def test_a_new_e_mail_is_pending_until_its_link_is_used(ada: int, mailbox: Mailbox) -> None:
    response = change(ada, NEW, phone_number="1")
    assert response.status == 200
    assert {
        name: response.json()[name] for name in ("email", "phone_number", "verified", "pending_email")
    } == {
        "email": ADA,
        "phone_number": "1",
        "verified": False,
        "pending_email": NEW,
    }
    assert account(ada) == (ADA, False, NEW)
    assert log_in(NEW).status == 403
    assert subjects(mailbox) == [(NEW, "Confirm your new e-mail address")]
    assert confirm(links(mailbox, NEW, "verify")[0]).status == 204
    assert account(ada) == (NEW, True, None)
    assert log_in(NEW).status == 200
    assert log_in().status == 403
    assert subjects(mailbox)[1:] == [(ADA, "The e-mail address of your account was changed")]


def test_each_user_sees_only_their_own_pending_e_mail(ada: int, bob: int) -> None:
    change(ada, NEW)
    assert account(bob) == ("bob@example.com", False, None)
    change(bob, NEWER)
    assert account(ada) == (ADA, False, NEW)
    assert account(bob) == ("bob@example.com", False, NEWER)
    phone = call("update_account", user=bob, body={"phone_number": "1"})
    assert (phone.status, phone.json()["pending_email"]) == (200, NEWER)
    assert call("request_verification", user=ada).status == 202


def test_a_change_keeps_or_removes_the_phone_number_as_it_says(ada: int) -> None:
    change(ada, NEW, phone_number="1")
    assert change(ada, NEWER).json()["phone_number"] == "1"
    assert change(ada, NEWER, phone_number=None).json()["phone_number"] is None


def test_another_new_e_mail_replaces_the_pending_one(ada: int, mailbox: Mailbox) -> None:
    change(ada, NEW)
    assert change(ada, NEWER).json()["pending_email"] == NEWER
    assert confirm(links(mailbox, NEW, "verify")[0]).json() == UNUSABLE
    assert confirm(links(mailbox, NEWER, "verify")[0]).status == 204
    assert account(ada) == (NEWER, True, None)
    assert log_in(NEWER).status == 200


def test_the_present_e_mail_cancels_the_pending_one_and_keeps_the_link_of_the_sign_up(
    ada: int, bob: int, mailbox: Mailbox
) -> None:
    change(ada, NEW)
    change(bob, NEWER)
    assert change(ada, ADA).json()["pending_email"] is None
    assert account(bob) == ("bob@example.com", False, NEWER)
    assert account(ada) == (ADA, False, None)
    assert confirm(links(mailbox, NEW, "verify")[0]).json() == UNUSABLE
    call("request_verification", user=ada)
    change(ada, ADA)
    assert confirm(links(mailbox, ADA, "verify")[0]).status == 204


def test_the_letter_case_changes_when_it_is_confirmed(ada: int, mailbox: Mailbox) -> None:
    assert change(ada, "Ada@example.com").status == 200
    assert account(ada) == (ADA, False, "Ada@example.com")
    assert confirm(links(mailbox, "Ada@example.com", "verify")[0]).status == 204
    assert account(ada) == ("Ada@example.com", True, None)
    assert log_in().status == 200


def test_a_pending_change_ends_with_the_password(ada: int, mailbox: Mailbox) -> None:
    change(ada, NEW)
    body = {"current_password": PASSWORD, "new_password": "a new password"}
    assert call("update_password", user=ada, body=body).status == 204
    assert confirm(links(mailbox, NEW, "verify")[0]).json() == UNUSABLE
    assert account(ada) == (ADA, False, None)


def test_a_pending_change_ends_when_something_else_changes_the_address(
    ada: int, mailbox: Mailbox, database: Database
) -> None:
    change(ada, NEW)
    database.run("UPDATE users SET email = :newer", newer=NEWER)
    assert account(ada) == (NEWER, False, None)
    assert confirm(links(mailbox, NEW, "verify")[0]).json() == UNUSABLE
    assert account(ada) == (NEWER, False, None)


def test_a_pending_change_ends_after_a_day(ada: int, mailbox: Mailbox, database: Database) -> None:
    change(ada, NEW)
    pass_time(database, DAY - 60)
    assert account(ada) == (ADA, False, NEW)
    pass_time(database, 60)
    assert account(ada) == (ADA, False, None)
    assert confirm(links(mailbox, NEW, "verify")[0]).json() == UNUSABLE


def test_the_link_of_a_pending_change_can_be_sent_again(ada: int, mailbox: Mailbox) -> None:
    change(ada, NEW)
    assert call("request_verification", user=ada).status == 202
    assert subjects(mailbox) == [(NEW, "Confirm your new e-mail address")] * 2
    newer, older = links(mailbox, NEW, "verify")
    assert confirm(older).json() == UNUSABLE
    assert confirm(newer).status == 204
    assert account(ada) == (NEW, True, None)


def test_a_link_that_is_sent_again_leads_to_an_address_that_is_known_in_any_letter_case(
    ada: int, mailbox: Mailbox
) -> None:
    change(ada, "Lovelace@example.com")
    assert call("request_verification", user=ada).status == 202
    assert confirm(links(mailbox, "Lovelace@example.com", "verify")[0]).status == 204
    assert log_in("LOVELACE@example.com").status == 200
    assert sign_up(NEW).json() == TAKEN


def test_a_verified_account_can_have_the_link_of_a_pending_change_sent_again(
    ada: int, mailbox: Mailbox, database: Database
) -> None:
    database.run("UPDATE users SET verified_email = email")
    change(ada, NEW)
    assert account(ada) == (ADA, True, NEW)
    assert call("request_verification", user=ada).status == 202
    assert len(links(mailbox, NEW, "verify")) == 2


@pytest.mark.parametrize(
    ("taken", "email"), [("bob@example.com", "BOB@example.com"), ("Bob@b.com", "bob@b.com")]
)
def test_the_e_mail_of_another_user_is_taken(
    taken: str, email: str, ada: int, mailbox: Mailbox, database: Database
) -> None:
    database.add_user(taken)
    response = change(ada, email)
    assert (response.status, response.json()) == (409, TAKEN)
    assert mailbox.mails() == {}
    assert account(ada) == (ADA, False, None)


@pytest.mark.parametrize("email", [NEW, "Lovelace@example.com"])
def test_an_e_mail_that_is_taken_meanwhile_changes_nothing(
    email: str, ada: int, mailbox: Mailbox, database: Database
) -> None:
    change(ada, email)
    database.add_user(NEW)
    token = links(mailbox, email, "verify")[0]
    response = confirm(token)
    assert (response.status, response.json()) == (409, TAKEN)
    assert account(ada) == (ADA, False, email)
    database.run("DELETE FROM users WHERE email = :new", new=NEW)
    assert confirm(token).status == 204
    assert confirm(links(mailbox, ADA, "revert")[0]).status == 204


def test_a_failed_mail_does_not_fail_the_change(ada: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "send", fail)
    assert change(ada, NEW).json()["pending_email"] == NEW


def test_a_failed_notice_does_not_fail_the_confirmation(
    ada: int, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(ada, NEW)
    monkeypatch.setattr(mail, "send", fail)
    assert confirm(links(mailbox, NEW, "verify")[0]).status == 204
    assert account(ada) == (NEW, True, None)


@pytest.mark.usefixtures("_no_mail")
def test_without_mail_the_e_mail_changes_at_once_and_earlier_links_are_unusable(
    ada: int, database: Database
) -> None:
    database.add_mail_token(ada, digest("x"), ADA)
    response = change(ada, NEW)
    assert (response.json()["email"], response.json()["pending_email"]) == (NEW, None)
    assert account(ada) == (NEW, False, None)
    assert confirm("x").json() == UNUSABLE


def test_a_new_password_is_notified(ada: int, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"current_password": PASSWORD, "new_password": "a new password"}
    assert call("update_password", user=ada, body=body).status == 204
    assert subjects(mailbox) == [(ADA, "Your password was changed")]
    monkeypatch.setattr(mail, "send", fail)
    body = {"current_password": "a new password", "new_password": "another one"}
    assert call("update_password", user=ada, body=body).status == 204


# ---- The revert of a change ------------------------------------------------------------------------------


def test_the_old_address_can_revert_a_change(
    ada: int, bob: int, mailbox: Mailbox, database: Database
) -> None:
    session = log_in().json()
    change(bob, NEWER)
    change_and_confirm(mailbox, ada, NEW)
    # An attacker would change the password, too.
    body = {"current_password": PASSWORD, "new_password": "of the attacker"}
    assert call("update_password", user=ada, body=body).status == 204
    [token] = links(mailbox, ADA, "revert")
    assert confirm(token).status == 204
    assert subjects(mailbox)[-1] == (ADA, "Your e-mail address was restored")
    # All sessions ended, and no password works.
    assert call("read_account", user=ada).status == 401
    assert call("refresh", body={"refresh_token": session["refresh_token"]}).status == 401
    for email in (ADA, NEW):
        for password in (PASSWORD, "of the attacker", ""):
            assert log_in(email, password or "x").status == 403
    assert database.run("SELECT verified_email FROM users WHERE id = :ada", ada=ada) == [[ADA]]
    assert database.run("SELECT * FROM mail_tokens WHERE user_id = :ada", ada=ada) == []
    assert confirm(token).json() == UNUSABLE
    # Nobody else notices.
    assert account(bob) == ("bob@example.com", False, NEWER)
    assert log_in("bob@example.com").status == 200


def test_addresses_keep_the_lower_case_that_python_made(
    ada: int, mailbox: Mailbox, database: Database
) -> None:
    # PostgreSQL may know fewer letters. A mail cannot be sent to an address with such letters.
    stored = "SELECT lower_case_email FROM users"
    database.run("UPDATE users SET lower_case_email = 'the old one'")
    change(ada, NEW)
    database.run("UPDATE mail_tokens SET lower_case_email = 'the new one'")
    assert confirm(links(mailbox, NEW, "verify")[0]).status == 204
    assert database.value(stored) == "the new one"
    assert confirm(links(mailbox, ADA, "revert")[0]).status == 204
    assert database.value(stored) == "the old one"


def test_a_revert_does_not_change_when_sessions_ended(ada: int, mailbox: Mailbox, database: Database) -> None:
    log_in()
    database.run("UPDATE sessions SET ended_at = '2026-01-01' WHERE password_digest IS NOT NULL")
    change_and_confirm(mailbox, ada, NEW)
    assert confirm(links(mailbox, ADA, "revert")[0]).status == 204
    ended = "SELECT ended_at = '2026-01-01' FROM sessions ORDER BY password_digest IS NULL"
    assert database.run(ended) == [[True], [False]]


def test_a_password_can_be_reset_after_a_revert(
    ada: int, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auth.handler.MIN_RESET_SECONDS", 0)
    change_and_confirm(mailbox, ada, NEW)
    assert confirm(links(mailbox, ADA, "revert")[0]).status == 204
    assert call("request_password_reset", body={"email": ADA}).status == 202
    body = {"token": links(mailbox, ADA, "reset")[0], "new_password": "a new password"}
    assert call("confirm_password_reset", body=body).status == 204
    assert log_in(password="a new password").status == 200


def test_a_change_after_a_verification_can_be_reverted(ada: int, mailbox: Mailbox) -> None:
    assert call("request_verification", user=ada).status == 202
    assert confirm(links(mailbox, ADA, "verify")[0]).status == 204
    change_and_confirm(mailbox, ada, NEW)
    assert confirm(links(mailbox, ADA, "revert")[0]).status == 204


def test_the_old_address_can_revert_a_change_after_a_reset(
    ada: int, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auth.handler.MIN_RESET_SECONDS", 0)
    change_and_confirm(mailbox, ada, NEW)
    # An attacker would use every way to a new password.
    assert call("request_password_reset", body={"email": NEW}).status == 202
    body = {"token": links(mailbox, NEW, "reset")[0], "new_password": "of the attacker"}
    assert call("confirm_password_reset", body=body).status == 204
    assert confirm(links(mailbox, ADA, "revert")[0]).status == 204
    assert log_in(ADA, "of the attacker").status == 403


def test_a_second_change_leaves_the_first_address_its_link(ada: int, mailbox: Mailbox) -> None:
    change_and_confirm(mailbox, ada, NEW)
    change_and_confirm(mailbox, ada, NEWER)
    [token] = links(mailbox, ADA, "revert")
    assert links(mailbox, NEW, "revert") == []
    assert confirm(token).status == 204
    assert log_in(NEWER).status == 403


def test_the_request_of_the_present_address_does_not_keep_the_old_one_from_reverting(
    ada: int, mailbox: Mailbox
) -> None:
    change_and_confirm(mailbox, ada, NEW)
    change(ada, NEWER)
    assert change(ada, NEW).json()["pending_email"] is None
    assert confirm(links(mailbox, ADA, "revert")[0]).status == 204


def test_a_revert_ends_a_pending_change(ada: int, mailbox: Mailbox) -> None:
    change_and_confirm(mailbox, ada, NEW)
    change(ada, NEWER)
    assert confirm(links(mailbox, ADA, "revert")[0]).status == 204
    assert confirm(links(mailbox, NEWER, "verify")[0]).json() == UNUSABLE


def test_a_change_can_be_reverted_for_a_day(ada: int, mailbox: Mailbox, database: Database) -> None:
    change_and_confirm(mailbox, ada, NEW)
    pass_time(database, DAY - 60)
    assert sign_up(ADA).json() == TAKEN
    pass_time(database, 60)
    assert confirm(links(mailbox, ADA, "revert")[0]).json() == UNUSABLE
    # Then the next change can be reverted.
    change_and_confirm(mailbox, ada, NEWER)
    assert confirm(links(mailbox, NEW, "revert")[0]).status == 204


def test_nobody_can_take_the_old_address_as_long_as_it_can_revert(
    ada: int, bob: int, mailbox: Mailbox, database: Database
) -> None:
    change_and_confirm(mailbox, ada, NEW)
    for email in (ADA, ADA.upper()):
        assert sign_up(email).json() == TAKEN
        assert change(bob, email).json() == TAKEN
    # The account itself may have it again.
    change_and_confirm(mailbox, ada, ADA)
    change_and_confirm(mailbox, ada, NEW)
    pass_time(database, DAY)
    assert sign_up().status == 201


def test_an_old_address_is_reserved_in_any_letter_case(mailbox: Mailbox, database: Database) -> None:
    user = sign_up("Ada@example.com").json()["id"]
    database.add_session(user)
    assert confirm(links(mailbox, "Ada@example.com", "verify")[0]).status == 204
    change_and_confirm(mailbox, user, NEW)
    assert sign_up(ADA).json() == TAKEN


def test_a_change_to_an_address_that_is_reserved_meanwhile_is_taken(
    ada: int, bob: int, mailbox: Mailbox
) -> None:
    change(bob, NEW)
    for email in (NEW, NEWER):
        change_and_confirm(mailbox, ada, email)
    # The only address that Ada can revert to is her first one.
    assert sign_up(ADA).status == 409
    assert confirm(links(mailbox, NEW, "verify")[-1]).status == 204
    assert account(bob) == (NEW, True, None)


def test_a_deleted_account_reserves_no_address_and_cannot_be_reverted(
    ada: int, bob: int, mailbox: Mailbox
) -> None:
    change(bob, NEWER)
    change_and_confirm(mailbox, ada, NEW)
    assert call("delete_account", user=ada, body={"current_password": PASSWORD}).status == 204
    assert confirm(links(mailbox, ADA, "revert")[0]).json() == UNUSABLE
    assert sign_up().status == 201
    assert account(bob) == ("bob@example.com", False, NEWER)


# ---- Simultaneous requests -------------------------------------------------------------------------------


def at_once(number: int, work: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(work, range(number)))


@pytest.mark.usefixtures("bob", "own_connection_per_thread")
@pytest.mark.parametrize("purpose", ["verification", "revert"])
@pytest.mark.parametrize("email", [ADA, NEW])
def test_of_simultaneous_uses_of_a_link_one_succeeds(
    purpose: str, email: str, ada: int, database: Database
) -> None:
    database.add_mail_token(ada, "hash", email, purpose)

    def use(number: int) -> int:
        return len(addresses.confirm_address(token_hash="hash", revert_hash=str(number)))

    assert sum(at_once(8, use)) == 1
    assert database.value("SELECT email FROM users WHERE id = :ada", ada=ada) == email


@pytest.mark.usefixtures("own_connection_per_thread")
def test_of_simultaneous_changes_to_one_address_one_succeeds(database: Database) -> None:
    for number in range(8):
        user = database.add_user(f"user{number}@example.com")
        database.add_mail_token(user, f"hash {number}", NEW)

    def use(number: int) -> bool:
        [row] = addresses.confirm_address(token_hash=f"hash {number}", revert_hash=str(number))
        return not row.is_taken

    assert sum(at_once(8, use)) == 1
    assert database.value("SELECT count(*) FROM users WHERE email = :new", new=NEW) == 1


@pytest.mark.usefixtures("own_connection_per_thread")
def test_simultaneous_requests_leave_one_token(ada: int, database: Database) -> None:
    def ask(number: int) -> bool:
        [row] = addresses.request_verification(principal_of(ada), token_hash=str(number), per_day=PER_DAY)
        return row.email == ADA

    assert all(at_once(8, ask))
    assert database.value("SELECT count(*) FROM mail_tokens") == 1
