"""Forgotten passwords: the request for a link by mail, and the new password."""

import random
import re
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

import pytest

import auth.handler
from auth import recovery
from common import mail
from common.mail import Mail, MailError
from common.opaque_tokens import digest
from local.mail import Mailbox
from tests.support.database import PASSWORD, Database, connect
from tests.support.lambdas import Response, call, invoke, new_event

ADA = "ada@example.com"
NEW = "a new passphrase"
SENT = {"message": "If there is an account with this e-mail, we have sent a link to set a new password"}
UNUSABLE = {"detail": "This link was used already, has expired, or was replaced by a newer one"}
LINK = re.compile(r"^https://app\.example\.com/account#reset=(\S+)$", re.MULTILINE)
CLIENT, OTHER_CLIENT = "198.51.100.23", "203.0.113.7"
HOUR = 60 * 60
DAY = 24 * HOUR
MAX_REQUESTS = 30
MAX_TOKENS = 3

pytestmark = pytest.mark.usefixtures("_cheap_hashes", "mailbox", "_no_minimum")


@pytest.fixture
def _no_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a request take as long as it takes."""
    monkeypatch.setattr(auth.handler, "MIN_RESET_SECONDS", 0)


def send_from(client: str, event: str, **body: str) -> Response:
    request = new_event(event, body=body)
    request["requestContext"]["identity"]["sourceIp"] = client
    return invoke(request)


def request_reset(email: str = ADA, client: str = CLIENT) -> Response:
    return send_from(client, "request_password_reset", email=email)


def confirm(token: str, password: str = NEW, client: str = CLIENT) -> Response:
    return send_from(client, "confirm_password_reset", token=token, new_password=password)


def tokens(mailbox: Mailbox) -> list[str]:
    """Return the tokens of the mails, the newest first."""
    return [token for each in mailbox.mails().values() for token in LINK.findall(each.get_content())]


def new_token(mailbox: Mailbox) -> str:
    assert request_reset().status == 202
    return tokens(mailbox)[0]


def log_in(password: str, email: str = ADA) -> Response:
    return call("login", body=urlencode({"username": email, "password": password}))


def pass_time(database: Database, seconds: float) -> None:
    """Let everything be so much longer ago."""
    for table, column in (("mail_tokens", "expires_at"), ("login_attempts", "forgotten_at")):
        database.run(
            f"UPDATE {table} SET {column} = {column} - make_interval(secs => :seconds)", seconds=seconds
        )


@pytest.mark.usefixtures("ada")
def test_a_link_by_mail_sets_a_new_password(mailbox: Mailbox) -> None:
    response = request_reset()
    assert (response.status, response.json()) == (202, SENT)
    [message] = mailbox.mails().values()
    assert message["To"] == ADA
    assert message["Subject"] == "Set a new password"
    [token] = tokens(mailbox)
    assert len(token) == 43
    response = confirm(token)
    assert (response.status, response.body) == (204, "")
    assert log_in(PASSWORD).status == 403
    assert log_in(NEW).status == 200


@pytest.mark.usefixtures("ada")
def test_the_database_has_only_the_hash_of_the_token(mailbox: Mailbox, database: Database) -> None:
    token = new_token(mailbox)
    [[row]] = database.run("SELECT mail_tokens::text FROM mail_tokens")
    assert token not in row
    assert digest(token) in row


@pytest.mark.parametrize("stored", [ADA, "Ada@example.com"])
@pytest.mark.parametrize("typed", ["ADA@example.com", " ada@example.com "])
def test_the_address_may_be_typed_as_at_the_login(
    typed: str, stored: str, mailbox: Mailbox, database: Database
) -> None:
    database.add_user(stored)
    assert request_reset(typed).status == 202
    assert len(tokens(mailbox)) == 1


def test_the_account_is_notified(ada: int, mailbox: Mailbox) -> None:
    assert confirm(new_token(mailbox)).status == 204
    newest, _ = mailbox.mails().values()
    assert (newest["To"], newest["Subject"]) == (ADA, "Your password was changed")
    assert ada


def test_a_failed_notice_does_not_fail_the_reset(
    ada: int, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = new_token(mailbox)
    monkeypatch.setattr(mail, "send", fail)
    assert confirm(token).status == 204
    assert log_in(NEW).status == 200
    assert ada


def fail(_mail: Mail) -> None:
    raise MailError("SES did not accept the mail")


def test_a_reset_ends_all_sessions(ada: int, mailbox: Mailbox) -> None:
    refresh_token = log_in(PASSWORD).json()["refresh_token"]
    assert confirm(new_token(mailbox)).status == 204
    assert call("read_account", user=ada).status == 401
    assert call("refresh", body={"refresh_token": refresh_token}).status == 401


def test_a_reset_changes_nobody_else(ada: int, bob: int, mailbox: Mailbox, database: Database) -> None:
    assert request_reset("bob@example.com").status == 202
    rows = "SELECT users, sessions, mail_tokens FROM users JOIN sessions ON sessions.user_id = users.id"
    rows += " JOIN mail_tokens ON mail_tokens.user_id = users.id WHERE users.id = :bob"
    before = database.run(rows, bob=bob)
    assert confirm(new_token(mailbox)).status == 204
    assert database.run(rows, bob=bob) == before
    assert len(before) == 1
    assert ada


def test_a_reset_does_not_change_when_sessions_ended(ada: int, mailbox: Mailbox, database: Database) -> None:
    log_in(PASSWORD)
    database.run("UPDATE sessions SET ended_at = '2026-01-01' WHERE password_digest IS NOT NULL")
    assert confirm(new_token(mailbox)).status == 204
    ended = "SELECT ended_at = '2026-01-01' FROM sessions ORDER BY password_digest IS NULL"
    assert database.run(ended) == [[True], [False]]
    assert ada


def test_a_reset_verifies_the_address(ada: int, mailbox: Mailbox, database: Database) -> None:
    verified = "SELECT verified_email FROM users WHERE id = :ada"
    assert database.value(verified, ada=ada) is None
    confirm(new_token(mailbox))
    assert database.value(verified, ada=ada) == ADA


@pytest.mark.usefixtures("ada")
def test_a_reset_clears_the_failures_of_the_account_and_of_the_client_on_it(
    mailbox: Mailbox, database: Database
) -> None:
    for _ in range(20):
        assert log_in("wrong").status == 403
    assert log_in(PASSWORD).status == 429
    failures = "SELECT failures FROM login_attempts WHERE failures >= 20"
    assert database.run(failures) == [[20]] * 3
    assert confirm(new_token(mailbox)).status == 204
    # The third one counts the failures of the client on all accounts.
    assert database.run(failures) == [[20]]
    assert log_in(NEW).status == 200


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize("address", ["nobody@example.com", "no address", "@", "\u00e4@\u00f6.example"])
def test_an_unknown_address_gets_the_same_response_and_no_mail(address: str, mailbox: Mailbox) -> None:
    known, unknown = request_reset(), request_reset(address)
    assert (unknown.status, unknown.body, unknown.headers) == (known.status, known.body, known.headers)
    assert len(mailbox.mails()) == 1


def test_a_deleted_account_gets_no_mail_and_its_token_is_unusable(
    ada: int, mailbox: Mailbox, database: Database
) -> None:
    token = new_token(mailbox)
    assert call("delete_account", user=ada, body={"current_password": PASSWORD}).status == 204
    assert database.value("SELECT count(*) FROM mail_tokens") == 0
    assert confirm(token).status == 403
    assert request_reset().status == 202
    assert len(mailbox.mails()) == 1
    # The address that the row has now.
    [row] = recovery.request_reset(account=f"deleted {ada}", client=CLIENT, token_hash="hash")
    assert row.email is None


@pytest.mark.usefixtures("ada")
def test_three_requests_in_an_hour_send_a_mail_and_each_of_the_three_links_works(
    mailbox: Mailbox, database: Database
) -> None:
    for _ in range(5):
        assert request_reset().json() == SENT
    assert len(tokens(mailbox)) == MAX_TOKENS
    assert database.value("SELECT count(*) FROM mail_tokens") == MAX_TOKENS
    oldest = tokens(mailbox)[-1]
    pass_time(database, HOUR - 60)
    assert confirm(oldest).status == 204


def test_other_links_take_no_room(ada: int, bob: int, mailbox: Mailbox) -> None:
    for _ in range(MAX_TOKENS):
        assert request_reset("bob@example.com").status == 202
    for user in (ada, bob):
        assert call("request_verification", user=user).status == 202
    for _ in range(MAX_TOKENS):
        assert request_reset().status == 202
    assert len(tokens(mailbox)) == 2 * MAX_TOKENS


@pytest.mark.usefixtures("ada")
def test_using_one_link_ends_the_others_and_makes_room_for_the_next(mailbox: Mailbox) -> None:
    links = [new_token(mailbox) for _ in range(MAX_TOKENS)]
    assert confirm(links[1]).status == 204
    assert [confirm(link, "yet another one").json() for link in links] == [UNUSABLE] * MAX_TOKENS
    assert log_in(NEW).status == 200
    assert confirm(new_token(mailbox), "the third one").status == 204


def test_tokens_of_a_previous_password_make_room_for_the_next(ada: int, mailbox: Mailbox) -> None:
    links = [new_token(mailbox) for _ in range(MAX_TOKENS)]
    body = {"current_password": PASSWORD, "new_password": "changed"}
    assert call("update_password", user=ada, body=body).status == 204
    assert [confirm(link).json() for link in links] == [UNUSABLE] * MAX_TOKENS
    assert confirm(new_token(mailbox)).status == 204


@pytest.mark.usefixtures("ada")
def test_a_link_expires_after_an_hour_and_makes_room_for_the_next(
    mailbox: Mailbox, database: Database
) -> None:
    links = [new_token(mailbox) for _ in range(MAX_TOKENS)]
    pass_time(database, HOUR)
    assert [confirm(link).json() for link in links] == [UNUSABLE] * MAX_TOKENS
    assert confirm(new_token(mailbox)).status == 204


CHANGES = {
    "the address": "UPDATE users SET email = 'lovelace@example.com'",
    "the password": "UPDATE users SET password = 'another'",
    "the account": "DELETE FROM users",
    "the mark of a deleted account": "UPDATE users SET deleted_at = now()",
}


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_what_a_token_is_bound_to_makes_it_unusable(
    change: str, mailbox: Mailbox, database: Database
) -> None:
    token = new_token(mailbox)
    database.run(change)
    response = confirm(token)
    assert (response.status, response.json()) == (403, UNUSABLE)


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_while_the_new_password_is_hashed_makes_the_token_unusable(
    change: str, mailbox: Mailbox, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = new_token(mailbox)

    def hash_password(password: str) -> str:
        database.run(change)
        return f"hash of {password}"

    monkeypatch.setattr(auth.handler, "hash_password", hash_password)
    assert confirm(token).json() == UNUSABLE
    assert database.run("SELECT id FROM users WHERE password LIKE 'hash of%'") == []


@pytest.mark.usefixtures("ada")
def test_a_token_of_another_purpose_resets_no_password(mailbox: Mailbox, database: Database) -> None:
    token = new_token(mailbox)
    database.run("UPDATE mail_tokens SET purpose = 'verification'")
    assert confirm(token).json() == UNUSABLE


def test_an_unusable_token_costs_no_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth.handler, "hash_password", None)
    assert confirm("x" * 43).json() == UNUSABLE


@pytest.mark.usefixtures("ada")
def test_the_policy_applies_to_the_new_password_and_keeps_the_token(mailbox: Mailbox) -> None:
    token = new_token(mailbox)
    response = confirm(token, "x" * 73)
    assert response.status == 422
    assert response.json()["detail"][0]["loc"] == ["body", "new_password"]
    assert confirm(token).status == 204


@pytest.mark.parametrize(
    ("event", "body", "field"),
    [
        ("request_password_reset", {}, "email"),
        ("request_password_reset", {"email": ""}, "email"),
        ("request_password_reset", {"email": "x" * 255}, "email"),
        ("request_password_reset", {"email": "a\0"}, "email"),
        ("request_password_reset", {"email": 1}, "email"),
        ("confirm_password_reset", {"new_password": NEW}, "token"),
        ("confirm_password_reset", {"token": "x" * 101, "new_password": NEW}, "token"),
        ("confirm_password_reset", {"token": "x\0", "new_password": NEW}, "token"),
        ("confirm_password_reset", {"token": "x"}, "new_password"),
        ("confirm_password_reset", {"token": "x", "new_password": ""}, "new_password"),
    ],
)
def test_invalid_input_is_rejected(event: str, body: dict[str, object], field: str) -> None:
    response = call(event, body=body)
    assert response.status == 422
    assert response.json()["detail"][0]["loc"] == ["body", field]


def test_without_mail_no_password_can_be_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_FROM", "")
    response = request_reset()
    assert (response.status, response.json()) == (404, {"detail": "This deployment sends no mail"})
    assert confirm("x").status == 403


@pytest.mark.usefixtures("ada")
def test_a_failed_mail_gets_the_same_response_and_leaves_no_token(
    monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    monkeypatch.setattr(mail, "send", fail)
    response = request_reset()
    assert (response.status, response.json()) == (202, SENT)
    assert database.run("SELECT * FROM mail_tokens") == []


@pytest.mark.usefixtures("ada")
def test_a_failed_mail_leaves_earlier_links(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    token = new_token(mailbox)
    monkeypatch.setattr(mail, "send", fail)
    assert request_reset().status == 202
    assert confirm(token).status == 204


# ---- Limits ----------------------------------------------------------------------------------------------


def assert_limited(response: Response) -> None:
    assert response.status == 429
    [seconds] = response.headers["Retry-After"]
    assert HOUR - 60 < int(seconds) <= HOUR
    assert response.json() == {"detail": f"Too many attempts, try again in {seconds} s"}


@pytest.mark.usefixtures("ada")
def test_a_client_may_send_thirty_requests_an_hour_and_others_do_not_notice(
    mailbox: Mailbox, database: Database
) -> None:
    statuses = Counter(request_reset(f"user{number}@example.com").status for number in range(1_000))
    assert statuses == {202: MAX_REQUESTS, 429: 1_000 - MAX_REQUESTS}
    assert_limited(request_reset())
    assert mailbox.mails() == {}
    assert database.run("SELECT * FROM mail_tokens") == []
    assert request_reset(client=OTHER_CLIENT).status == 202
    assert len(tokens(mailbox)) == 1
    pass_time(database, HOUR)
    assert request_reset().status == 202


@pytest.mark.usefixtures("ada")
def test_a_thousand_requests_for_one_address_send_three_mails_and_block_nobody(
    mailbox: Mailbox, database: Database
) -> None:
    statuses = Counter(
        request_reset(client=f"203.0.{number // 250}.{number % 250}").status for number in range(1_000)
    )
    assert statuses == {202: 1_000}
    assert len(tokens(mailbox)) == MAX_TOKENS
    assert database.value("SELECT count(*) FROM mail_tokens") == MAX_TOKENS
    # Its owner has three mails that work.
    assert confirm(tokens(mailbox)[-1]).status == 204


def test_a_thousand_requests_for_a_thousand_accounts_send_one_mail_each(
    monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(mail, "send", lambda message: sent.append(message.recipient))
    database.run(
        "INSERT INTO users (email, password) SELECT 'user' || n || '@example.com', 'hash'"
        " FROM generate_series(0, 999) AS n"
    )
    addresses = [f"user{number}@example.com" for number in range(1_000)]
    clients = [f"203.0.113.{number // 25}" for number in range(1_000)]
    assert {request_reset(*each).status for each in zip(addresses, clients, strict=True)} == {202}
    assert sent == addresses


def test_a_client_may_try_thirty_tokens_an_hour_and_others_do_not_notice(ada: int, mailbox: Mailbox) -> None:
    statuses = Counter(confirm(f"token {number}").status for number in range(100))
    assert statuses == {403: MAX_REQUESTS, 429: 100 - MAX_REQUESTS}
    # Both are counted separately, so that a client which asked for a link can use it.
    token = new_token(mailbox)
    assert_limited(confirm(token))
    assert confirm(token, client=OTHER_CLIENT).status == 204
    assert ada


def statuses_of(requests: int, client: str = CLIENT) -> Counter[int]:
    return Counter(request_reset("nobody@example.com", client).status for _ in range(requests))


def test_an_hour_begins_with_the_first_request_and_again_after_its_end(database: Database) -> None:
    assert statuses_of(1, OTHER_CLIENT) == {202: 1}
    pass_time(database, HOUR)
    for _ in range(2):
        assert statuses_of(1) == {202: 1}
        pass_time(database, HOUR - 60)
        assert statuses_of(MAX_REQUESTS) == {202: MAX_REQUESTS - 1, 429: 1}
        [seconds] = request_reset().headers["Retry-After"]
        assert 1 < int(seconds) <= 60
        pass_time(database, 60)


def test_a_login_does_not_remove_a_count_that_is_used_again_after_a_day(database: Database) -> None:
    statuses_of(1)
    pass_time(database, 2 * DAY)
    database.run("UPDATE login_attempts SET touched_at = touched_at - interval '2 days'")
    statuses_of(MAX_REQUESTS)
    assert log_in("wrong").status == 403
    assert statuses_of(1) == {429: 1}


@pytest.mark.usefixtures("own_connection_per_thread")
def test_a_request_that_did_not_see_when_the_hour_began_gets_a_time_to_wait(database: Database) -> None:
    with ThreadPoolExecutor(1) as pool, closing(connect(database.url)) as other:
        other.run("BEGIN")
        other.run(
            "INSERT INTO login_attempts (key, failures, forgotten_at, touched_at)"
            " VALUES (sha256(:key), :failures, now() + interval '1 hour', now())",
            key=f"password reset {CLIENT}".encode(),
            failures=MAX_REQUESTS,
        )
        waiting = pool.submit(recovery.request_reset, account=ADA, client=CLIENT, token_hash="hash")
        database.wait_for_locks(1)
        other.run("COMMIT")
        assert [row.retry_after_seconds for row in waiting.result()] == [1]


def test_clients_of_one_ipv6_network_share_the_limit() -> None:
    statuses = Counter(request_reset(client=f"2001:db8::{number}").status for number in range(40))
    assert statuses == {202: MAX_REQUESTS, 429: 40 - MAX_REQUESTS}


# ---- Simultaneous requests -------------------------------------------------------------------------------


def at_once(number: int, work: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(work, range(number)))


@pytest.mark.usefixtures("own_connection_per_thread")
def test_of_simultaneous_requests_at_most_three_get_a_token(ada: int, database: Database) -> None:
    def ask(number: int) -> int:
        [row] = recovery.request_reset(account=ADA, client=str(number), token_hash=str(number))
        return row.email == ADA

    assert 1 <= sum(at_once(16, ask)) <= MAX_TOKENS
    # Those whose slot was taken by a simultaneous request sent nothing; there is still room for the others.
    assert 1 <= database.value("SELECT count(*) FROM mail_tokens") <= MAX_TOKENS
    assert ada


@pytest.mark.usefixtures("own_connection_per_thread")
def test_exactly_thirty_simultaneous_requests_of_a_client_are_allowed() -> None:
    def ask(number: int) -> bool:
        [row] = recovery.request_reset(account="nobody", client=CLIENT, token_hash=str(number))
        return row.retry_after_seconds is None

    assert sum(at_once(16, lambda number: sum(ask(16 * number + each) for each in range(3)))) == MAX_REQUESTS


@pytest.mark.usefixtures("own_connection_per_thread")
@pytest.mark.parametrize("links", [1, 3])
def test_of_simultaneous_uses_of_the_links_of_an_account_one_succeeds(
    links: int, ada: int, database: Database
) -> None:
    for number in range(links):
        recovery.request_reset(account=ADA, client=CLIENT, token_hash=str(number))

    def use(number: int) -> int:
        token = str(number % links)
        return len(recovery.reset_password(token_hash=token, client=CLIENT, password=f"hash {number}"))

    results = at_once(8, use)
    assert sum(results) == 1
    assert database.value("SELECT password FROM users WHERE id = :ada", ada=ada) == (
        f"hash {results.index(1)}"
    )
    assert database.value("SELECT count(*) FROM mail_tokens") == 0


# ---- Time ------------------------------------------------------------------------------------------------

PAIRS = 30
# As in test_timing.py: 2 * (1 + 30 + 435) / 2**30 is less than one of a million.
MAX_PAIRS = 27
MINIMUM = 0.05


@pytest.mark.usefixtures("ada")
def test_a_request_takes_as_long_for_a_missing_account(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth.handler, "MIN_RESET_SECONDS", MINIMUM)
    monkeypatch.setattr(mail, "send", lambda _: time.sleep(MINIMUM / 4))
    slower: Counter[str] = Counter()
    for _ in range(PAIRS):
        database.run("TRUNCATE login_attempts, mail_tokens")
        # In random order, so that neither benefits from being the first or the second of a pair.
        pair = random.sample([ADA, "nobody@example.com"], 2)
        seconds = {}
        for email in pair:
            begin = time.perf_counter()
            request_reset(email)
            seconds[email] = time.perf_counter() - begin
        assert min(seconds.values()) >= MINIMUM
        slower[max(pair, key=lambda email: seconds[email])] += 1
    assert max(slower.values()) <= MAX_PAIRS, slower


@pytest.mark.usefixtures("ada")
def test_a_request_whose_mail_fails_takes_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth.handler, "MIN_RESET_SECONDS", MINIMUM)
    monkeypatch.setattr(mail, "send", fail)
    begin = time.perf_counter()
    assert request_reset().status == 202
    assert time.perf_counter() - begin >= MINIMUM
