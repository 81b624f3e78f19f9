"""Invalid input is always 422, never 500, and nothing is written."""

import base64
import json
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.database import PASSWORD, Database
from tests.support.lambdas import call, invoke, new_event

WITH_JSON = ["sign_up", "create_post", "change_post", "vote"]
WITH_BODY = [*WITH_JSON, "login"]

NOT_AN_OBJECT = [
    "",
    " ",
    "{",
    "}",
    '{"title": "t",}',
    "{'title': 't'}",
    '{"title": "t"} and more',
    "[]",
    '[{"title": "t", "content": "c"}]',
    "null",
    "true",
    "7",
    "NaN",
    '"text"',
    "\0",
    "\ufeff{}",
    "[" * 100_000,
    '{"a":' * 100_000,
    '{"title": ' + "9" * 5_000 + "}",
    "<xml/>",
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3)
    ),
    max_leaves=6,
)


def assert_invalid(status: int, detail: object) -> None:
    assert status == 422
    assert isinstance(detail, list)
    assert detail
    for error in detail:
        assert error.keys() == {"type", "loc", "msg"}
        assert error["loc"][0] == "body"


@pytest.mark.parametrize("body", NOT_AN_OBJECT, ids=lambda body: repr(body[:20]))
@pytest.mark.parametrize("event", WITH_JSON)
def test_a_body_other_than_a_json_object_is_invalid(event: str, body: str, ada: int) -> None:
    user = ada if event != "sign_up" else None
    response = invoke(new_event(event, user=user, body=body))
    assert_invalid(response.status, response.json()["detail"])


@pytest.mark.parametrize("event", WITH_BODY)
def test_a_missing_body_is_invalid(event: str) -> None:
    response = invoke(new_event(event) | {"body": None})
    assert_invalid(response.status, response.json()["detail"])


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "application/octet-stream", "json", "multipart/form-data", "\x80"],
)
@pytest.mark.parametrize("event", WITH_BODY)
def test_a_body_with_an_unsupported_content_type_is_invalid(event: str, content_type: str) -> None:
    response = invoke(new_event(event, headers={"Content-Type": content_type}))
    assert_invalid(response.status, response.json()["detail"])


@pytest.mark.parametrize("event", WITH_JSON)
@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=e"]
)
def test_a_form_is_invalid_where_json_is_expected(event: str, content_type: str) -> None:
    body = base64.b64encode(b"title=t&content=c&post_id=1&dir=1&email=a%40example.com&password=p").decode()
    form = new_event(event, body=body, headers={"Content-Type": content_type}) | {"isBase64Encoded": True}
    response = invoke(form)
    assert_invalid(response.status, response.json()["detail"])


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/vnd.api+json",
        "application/ld+json; profile=x",
        "Application/Problem+JSON",
    ],
)
def test_json_may_have_any_json_media_type_or_none(content_type: str | None, ada: int) -> None:
    headers = {"Content-Type": content_type}
    response = invoke(
        new_event("create_post", user=ada, body={"title": "é", "content": "c"}, headers=headers)
    )
    assert response.status == 201
    assert response.json()["title"] == "é"


@pytest.mark.parametrize(
    "content_type", ["text/json", "image/svg+json", "application/jsonx", "application/x+xml"]
)
def test_json_has_no_other_media_type(content_type: str, ada: int) -> None:
    response = call("create_post", user=ada, headers={"Content-Type": content_type})
    assert_invalid(response.status, response.json()["detail"])


@pytest.mark.usefixtures("_cheap_hashes")
@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("sign_up", 201),
        ("create_post", 201),
        ("change_post", 200),
        ("vote", 201),
        ("update_account", 200),
        ("update_password", 204),
        ("delete_account", 204),
        ("refresh", 401),
    ],
)
def test_a_byte_order_mark_before_json_is_ignored(
    event: str, status: int, ada: int, database: Database
) -> None:
    post_id = database.add_post(ada)
    bodies = {
        "sign_up": {"email": "bob@example.com", "password": "p"},
        "create_post": {"title": "t", "content": "c"},
        "change_post": {"title": "t", "content": "c"},
        "vote": {"post_id": post_id, "dir": 1},
        "update_account": {"email": "lovelace@example.com", "current_password": PASSWORD},
        "update_password": {"current_password": PASSWORD, "new_password": "p"},
        "delete_account": {"current_password": PASSWORD},
        "refresh": {"refresh_token": "t"},
    }
    user = None if event in {"sign_up", "refresh"} else ada
    item = post_id if event == "change_post" else None
    body = "\ufeff" + json.dumps(bodies[event])
    sent = new_event(event, user=user, item=item, body=base64.b64encode(body.encode()).decode())
    assert invoke(sent | {"isBase64Encoded": True}).status == status


def test_a_base64_encoded_body_is_decoded(ada: int) -> None:
    encoded = base64.b64encode(b'{"title": "\xc3\xa9", "content": "c"}').decode()
    response = invoke(new_event("create_post", user=ada, body=encoded) | {"isBase64Encoded": True})
    assert response.status == 201
    assert response.json()["title"] == "é"


@pytest.mark.parametrize("depth", [10, 100, 400, 700, 900])
def test_a_deeply_nested_field_is_invalid(depth: int, ada: int) -> None:
    body = '{"title": "t", "content": ' + "[" * depth + "]" * depth + "}"
    response = invoke(new_event("create_post", user=ada, body=body))
    assert_invalid(response.status, response.json()["detail"])


def test_unknown_fields_are_ignored_with_any_value(ada: int) -> None:
    unknown = '"x": ' + "[" * 500 + "]" * 500 + ', "y": "\\ud800", "z": "\\u0000", "n": -1e400'
    response = invoke(
        new_event("create_post", user=ada, body='{"title": "t", "content": "c", ' + unknown + "}")
    )
    assert response.status == 201


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # examples may share rows
@given(body=st.dictionaries(st.sampled_from(["title", "content", "published", "post_id", "dir"]), JSON))
@pytest.mark.parametrize("event", ["create_post", "change_post", "vote"])
def test_no_json_causes_an_internal_error(event: str, ada: int, body: object) -> None:
    response = invoke(new_event(event, user=ada, body=json.dumps(body)))
    assert response.status in {201, 404, 422}


# The fields of accounts and sessions. After ten wrong passwords the rate limit skips the password check.
OF_ACCOUNTS = [
    "email",
    "password",
    "phone_number",
    "current_password",
    "new_password",
    "refresh_token",
]
TEXTS = st.text(st.characters(codec=None), max_size=90)
INVENTED = settings(
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # examples may share rows
)


@pytest.mark.usefixtures("_cheap_hashes")
@INVENTED
@given(body=st.dictionaries(st.sampled_from(OF_ACCOUNTS), JSON | TEXTS | st.emails()))
@pytest.mark.parametrize(
    "event", ["sign_up", "update_account", "update_password", "delete_account", "refresh"]
)
def test_no_field_of_an_account_causes_an_internal_error(event: str, ada: int, body: object) -> None:
    user = None if event in {"sign_up", "refresh"} else ada
    response = invoke(new_event(event, user=user, body=json.dumps(body)))
    assert response.status in {200, 201, 401, 403, 409, 422, 429}


@pytest.mark.usefixtures("_cheap_hashes")
@INVENTED
@given(form=st.dictionaries(st.sampled_from(["username", "password"]), st.text(max_size=90)), raw=st.text())
def test_no_form_causes_an_internal_error(form: dict[str, str], raw: str) -> None:
    for body in (urlencode(form), raw):
        assert invoke(new_event("login", body=body)).status in {403, 422, 429}


PARAMETERS = st.sampled_from(["limit", "skip", "search", "sort", "published", "cursor"])


@INVENTED
@given(query=st.lists(st.tuples(PARAMETERS, TEXTS | st.integers().map(str) | st.floats().map(str))))
@pytest.mark.parametrize("event", ["list_posts", "list_user_posts"])
def test_no_parameter_causes_an_internal_error(event: str, ada: int, query: list[tuple[str, str]]) -> None:
    response = call(event, user=ada, item=ada if event == "list_user_posts" else None, query=query)
    assert response.status in {200, 422}


@INVENTED
@given(item=TEXTS | st.integers().map(str))
@pytest.mark.parametrize("event", ["read_post", "change_post", "delete_post", "read_user", "list_user_posts"])
def test_no_id_in_a_path_causes_an_internal_error(event: str, ada: int, item: str) -> None:
    response = call(event, user=None if event == "read_user" else ada, item=item)
    assert response.status in {200, 404, 422}


@INVENTED
@given(item=TEXTS | st.uuids().map(str))
def test_no_id_of_a_session_causes_an_internal_error(ada: int, item: str) -> None:
    assert call("end_session", user=ada, item=item).status in {404, 422}


@INVENTED
@given(user_agent=st.none() | st.text(max_size=300))
def test_no_user_agent_causes_an_internal_error_or_is_stored_as_it_was_sent(
    ada: int, database: Database, user_agent: str | None
) -> None:
    database.run("DELETE FROM login_attempts")
    event = new_event("login", body=urlencode({"username": "ada@example.com", "password": PASSWORD}))
    event["requestContext"]["identity"]["userAgent"] = user_agent
    assert invoke(event).status == 200
    stored = call("list_sessions", user=ada).json()[0]["user_agent"]
    assert stored is None or (stored.isprintable() and stored.isascii() and 0 < len(stored) <= 200)


@INVENTED
@given(key=TEXTS | st.text(max_size=300))
def test_no_idempotency_key_causes_an_internal_error(ada: int, key: str) -> None:
    assert call("create_post", user=ada, headers={"Idempotency-Key": key}).status in {201, 422}


@pytest.mark.parametrize("event", WITH_JSON)
def test_invalid_input_writes_nothing(event: str, ada: int, database: Database) -> None:
    database.add_post(ada)
    before = snapshot(database)
    invoke(new_event(event, body='{"title": "t", "content": 7, "email": "a@example.com", "post_id": 1}'))
    assert snapshot(database) == before


def snapshot(database: Database) -> list[list[list[object]]]:
    return [database.run(f"SELECT * FROM {table}") for table in ("users", "posts", "votes")]


@pytest.mark.parametrize(
    "media_type", ["Application/JSON", "application/json; charset=UTF-8", "APPLICATION/JSON"]
)
def test_media_types_are_case_insensitive(media_type: str, ada: int) -> None:
    assert call("create_post", user=ada, headers={"Content-Type": media_type}).status == 201
