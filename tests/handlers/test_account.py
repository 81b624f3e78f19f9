"""/users/me: users read, change and delete their own account."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest

import votes.queries
from common.rows import Attempt
from tests.support.counters import wrong_counters
from tests.support.database import PASSWORD, PER_DAY, Database, principal_of
from tests.support.lambdas import Response, call
from users import queries
from users.rows import EmailChange

pytestmark = pytest.mark.usefixtures("_cheap_hashes")


def log_in(email: str = "ada@example.com", password: str = PASSWORD) -> Response:
    return call("login", body=urlencode({"username": email, "password": password}))


def session_of(response: Response) -> str:
    claims: dict[str, Any] = jwt.decode(response.json()["access_token"], options={"verify_signature": False})
    session: str = claims["sid"]
    return session


def can_refresh(response: Response) -> bool:
    return call("refresh", body={"refresh_token": response.json()["refresh_token"]}).status == 200


def test_an_account_is_a_user_with_a_phone_number(ada: int) -> None:
    response = call("read_account", user=ada)
    assert response.status == 200
    assert response.json().keys() == {
        "id",
        "email",
        "created_at",
        "phone_number",
        "verified",
        "pending_email",
    }
    assert (response.json()["id"], response.json()["phone_number"]) == (ada, None)


def test_only_the_owner_sees_the_phone_number(ada: int) -> None:
    call("update_account", user=ada, body={"phone_number": "+49 30 1"})
    assert call("read_account", user=ada).json()["phone_number"] == "+49 30 1"
    assert "phone_number" not in call("read_user", item=ada).json()


def test_null_removes_the_phone_number_and_absence_keeps_it(ada: int) -> None:
    call("update_account", user=ada, body={"phone_number": "+49 30 1"})
    assert call("update_account", user=ada, body={}).json()["phone_number"] == "+49 30 1"
    assert call("update_account", user=ada, body={"phone_number": None}).json()["phone_number"] is None


def test_after_a_change_of_the_e_mail_the_new_one_logs_in(ada: int) -> None:
    call("update_account", user=ada, body={"phone_number": "+49 30 1"})
    body = {"email": "lovelace@example.com", "current_password": PASSWORD}
    response = call("update_account", user=ada, body=body)
    assert response.status == 200
    assert (response.json()["email"], response.json()["phone_number"]) == ("lovelace@example.com", "+49 30 1")
    assert log_in("lovelace@example.com").status == 200
    assert log_in().status == 403
    # Without mail nobody can revert the change, so that the old address is free.
    assert call("sign_up", body={"email": "ada@example.com", "password": PASSWORD}).status == 201


def test_e_mail_and_phone_number_can_change_together(ada: int) -> None:
    body = {"email": "l@example.com", "phone_number": "+49 30 1", "current_password": PASSWORD}
    response = call("update_account", user=ada, body=body)
    assert (response.json()["email"], response.json()["phone_number"]) == ("l@example.com", "+49 30 1")


def test_the_letter_case_of_the_own_e_mail_can_change(ada: int) -> None:
    body = {"email": "Ada@example.com", "current_password": PASSWORD}
    assert call("update_account", user=ada, body=body).json()["email"] == "Ada@example.com"


@pytest.mark.parametrize("email", ["\u00c4DA@example.com", "\u0130DA@example.com"])
def test_a_new_address_with_other_letters_than_ascii_logs_in_in_any_letter_case(email: str, ada: int) -> None:
    # PostgreSQL has another lower case of some letters, for example of the capital I with a dot.
    body = {"email": email, "current_password": PASSWORD}
    assert call("update_account", user=ada, body=body).status == 200
    assert log_in(email).status == log_in(email.lower()).status == 200


def test_blanks_around_a_new_address_are_not_stored(ada: int) -> None:
    body = {"email": " lovelace@example.com\n", "current_password": PASSWORD}
    response = call("update_account", user=ada, body=body)
    assert response.status == 200
    assert response.json()["email"] == "lovelace@example.com"


@pytest.mark.usefixtures("_cheap_hashes")
def test_the_current_password_may_be_typed_in_any_of_its_forms(ada: int) -> None:
    composed, decomposed = "zo\u00eb", "zoe\u0308"
    for current, new in ((PASSWORD, decomposed), (composed, composed), (decomposed, "next")):
        body = {"current_password": current, "new_password": new}
        assert call("update_password", user=ada, body=body).status == 204


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ("update_account", {"email": "lovelace@example.com"}),
        ("update_password", {"new_password": "new password"}),
        ("delete_account", {}),
    ],
)
def test_an_empty_current_password_is_invalid(event: str, body: dict[str, str], ada: int) -> None:
    response = call(event, user=ada, body={**body, "current_password": ""})
    assert response.status == 422
    assert response.json()["detail"][0]["loc"] == ["body", "current_password"]


@pytest.mark.usefixtures("bob")
def test_the_e_mail_of_another_user_is_taken_in_any_letter_case(ada: int) -> None:
    body = {"email": "BOB@example.com", "current_password": PASSWORD}
    response = call("update_account", user=ada, body=body)
    assert response.status == 409
    assert response.json() == {"detail": "A user with this e-mail exists already"}


@pytest.mark.parametrize(
    "body",
    [
        {"email": "new@example.com"},
        {"email": "new@example.com", "current_password": None},
        {"email": "nonsense", "current_password": PASSWORD},
        {"phone_number": "1" * 51},
        {"phone_number": "1\0"},
        {"phone_number": 1},
        [],
        "",
    ],
)
def test_an_invalid_change_of_an_account_is_rejected(body: object, ada: int, database: Database) -> None:
    response = call("update_account", user=ada, body=body)
    assert response.status == 422
    assert all(error["loc"][0] == "body" for error in response.json()["detail"])
    assert database.value("SELECT email FROM users WHERE id = :ada", ada=ada) == "ada@example.com"


def test_a_new_password_ends_all_other_sessions(ada: int) -> None:
    here, elsewhere = log_in(), log_in()
    body = {"current_password": PASSWORD, "new_password": "new password"}
    response = call("update_password", user=ada, session=session_of(here), body=body)
    assert (response.status, response.body) == (204, "")
    assert can_refresh(here)
    assert not can_refresh(elsewhere)
    assert log_in(password=PASSWORD).status == 403
    assert log_in(password="new password").status == 200


@pytest.mark.parametrize(
    ("name", "active"), [("update_password", 1), ("delete_account", 0), ("log_out_everywhere", 0)]
)
def test_only_active_sessions_of_the_user_end(
    name: str, active: int, ada: int, bob: int, database: Database
) -> None:
    log_in()
    database.run("UPDATE sessions SET ended_at = now() WHERE password_digest IS NOT NULL")
    log_in()
    log_in("bob@example.com")
    others = "SELECT * FROM sessions WHERE user_id = :bob OR ended_at IS NOT NULL ORDER BY id"
    before = database.run(others, bob=bob)
    body = {"current_password": PASSWORD, "new_password": "new password"}
    assert call(name, user=ada, body=body).status == 204
    after = database.run(others, bob=bob)
    assert [row for row in after if row in before] == before
    remaining = "SELECT count(*) FROM sessions WHERE user_id = :ada AND ended_at IS NULL"
    assert database.value(remaining, ada=ada) == active


@pytest.mark.parametrize("new", ["", "p" * 73, "é" * 37, "a\0", None, 1])
def test_a_new_password_has_the_limits_of_a_sign_up(new: object, ada: int) -> None:
    response = call("update_password", user=ada, body={"current_password": PASSWORD, "new_password": new})
    assert response.status == 422
    assert "correct" not in response.body


def test_a_deleted_account_and_all_that_it_wrote_are_absent_at_once(
    ada: int, bob: int, database: Database
) -> None:
    log_in()
    database.run("UPDATE users SET verified_email = email, phone_number = '1'")
    own, other = database.add_post(ada), database.add_post(bob)
    draft = database.add_post(ada, published=False)
    database.add_vote(ada, other)
    database.add_vote(bob, own)
    response = call("delete_account", user=ada, body={"current_password": PASSWORD})
    assert (response.status, response.body) == (204, "")
    assert log_in().status == 403
    assert log_in(f"deleted {ada}").status == 403
    assert call("read_account", user=ada).status == 401
    assert call("read_user", item=ada).status == 404
    assert call("list_user_posts", user=bob, item=ada).status == 404
    for post in (own, draft):
        assert call("read_post", user=bob, item=post).status == 404
        assert call("vote", user=bob, body={"post_id": post, "dir": 1}).status == 404
        assert call("change_post", user=bob, item=post).status == 404
    for sort, search in itertools.product(("new", "old", "top"), ("", "Title")):
        page = call("list_posts", user=bob, query=[("sort", sort), ("search", search)]).json()
        # The votes of the account count until maintenance removes them.
        assert [(each["Post"]["id"], each["vote"]) for each in page] == [(other, 1)]
    columns = "email, lower_case_email, verified_email, password, phone_number"
    [row] = database.run(f"SELECT {columns} FROM users WHERE id = :ada", ada=ada)
    assert row == [f"deleted {ada}", f"deleted {ada}", None, "", None]


def test_the_address_of_a_deleted_account_is_free(ada: int) -> None:
    assert call("delete_account", user=ada, body={"current_password": PASSWORD}).status == 204
    new = call("sign_up", body={"email": "ada@example.com", "password": PASSWORD})
    assert new.status == 201
    assert new.json()["id"] != ada
    assert log_in().status == 200


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("read_account", None),
        ("update_account", {}),
        ("update_account", {"phone_number": "1"}),
        ("update_account", {"email": "new@example.com", "current_password": PASSWORD}),
        ("update_password", {"current_password": PASSWORD, "new_password": "new"}),
        ("delete_account", {"current_password": PASSWORD}),
    ],
)
def test_a_deleted_user_is_unauthorized(name: str, body: object, deleted_user: int) -> None:
    assert call(name, user=deleted_user, body=body).status == 401


def run_during_password_check(monkeypatch: pytest.MonkeyPatch, database: Database, sql: str) -> None:
    """Run a statement between the check of a password and the statement that follows it."""
    from common import authentication  # noqa: PLC0415  # reads environment variables

    def verify(_password: str, _hashed: str | None) -> bool:
        database.run(sql)
        return True

    monkeypatch.setattr(authentication, "verify_password", verify)


CHANGE_PASSWORD = "UPDATE users SET password = 'another'"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("update_account", {"email": "new@example.com", "current_password": PASSWORD}),
        ("update_password", {"current_password": PASSWORD, "new_password": "new"}),
        ("delete_account", {"current_password": PASSWORD}),
    ],
)
@pytest.mark.parametrize(("meanwhile", "status"), [(CHANGE_PASSWORD, 403), ("DELETE FROM users", 401)])
def test_a_password_that_is_changed_during_its_check_is_wrong(
    name: str,
    body: object,
    meanwhile: str,
    status: int,
    ada: int,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_during_password_check(monkeypatch, database, meanwhile)
    assert call(name, user=ada, body=body).status == status
    left = [] if status == 401 else [["ada@example.com", "another"]]
    assert database.run("SELECT email, password FROM users") == left
    changed = "SELECT count(*) FROM sessions WHERE ended_at IS NOT NULL OR password_digest IS NOT NULL"
    assert database.value(changed) == 0


@pytest.mark.usefixtures("mailbox")
def test_a_password_that_is_changed_during_its_check_requests_no_change_of_the_e_mail(
    ada: int, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_during_password_check(monkeypatch, database, CHANGE_PASSWORD)
    body = {"email": "new@example.com", "phone_number": "1", "current_password": PASSWORD}
    assert call("update_account", user=ada, body=body).status == 403
    assert database.run("SELECT phone_number FROM users") == [[None]]
    assert database.run("SELECT * FROM mail_tokens") == []


@pytest.mark.usefixtures("ada")
def test_a_login_whose_password_is_changed_during_its_check_opens_no_session(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_during_password_check(monkeypatch, database, CHANGE_PASSWORD)
    assert log_in().status == 403
    assert database.value("SELECT count(*) FROM sessions WHERE password_digest IS NOT NULL") == 0


ATTEMPT = Attempt("", "", datetime.max.replace(tzinfo=UTC))


@pytest.mark.usefixtures("own_connection_per_thread")
def test_of_two_concurrent_changes_to_one_e_mail_one_succeeds(database: Database) -> None:
    users = [database.add_user(f"user{number}@example.com") for number in range(8)]
    hashed = database.value("SELECT password FROM users LIMIT 1")

    def change(user: int) -> bool:
        [row] = queries.change_email(
            principal_of(user),
            ATTEMPT,
            EmailChange("wanted@example.com", "wanted@example.com", hashed, None, keep_phone_number=True),
            per_day=PER_DAY,
        )
        assert row.email_taken == (row.email is None)
        return not row.email_taken

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(change, users)) == 1


@pytest.mark.usefixtures("own_connection_per_thread")
def test_of_two_concurrent_changes_of_a_password_one_succeeds(ada: int, database: Database) -> None:
    seen = database.value("SELECT password FROM users")

    def change(number: int) -> int:
        rows = queries.change_password(
            principal_of(ada),
            ATTEMPT,
            verified_hash=seen,
            password=f"hash {number}",
        )
        return len(rows)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(change, range(8))) == 1


@pytest.mark.usefixtures("own_connection_per_thread")
def test_an_account_is_deleted_once_during_concurrent_changes_and_votes(
    ada: int, bob: int, database: Database
) -> None:
    seen = database.value("SELECT password FROM users WHERE id = :ada", ada=ada)
    post = database.add_post(bob)
    principal = principal_of(ada)

    def act(number: int) -> int:
        if number % 2:
            return len(queries.mark_deleted(principal, ATTEMPT, verified_hash=seen))
        votes.queries.cast(principal, post_id=post, per_day=PER_DAY, verified_only=False)
        queries.change_phone_number(principal, phone_number=str(number), per_day=PER_DAY)
        return 0

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(act, range(32))) == 1
    assert database.value("SELECT phone_number FROM users WHERE id = :ada", ada=ada) is None
    assert wrong_counters(database.run) == []
