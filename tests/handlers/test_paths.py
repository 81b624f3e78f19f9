"""Paths: API Gateway passes them as they were sent, percent-encoded."""

import pytest

from tests.support.database import Database
from tests.support.lambdas import Context, handlers, invoke, new_event


@pytest.mark.parametrize("before", ["", "/v1", "/a/b"])
@pytest.mark.parametrize("ending", ["", "/"])
def test_a_segment_is_decoded_once(before: str, ending: str, ada: int, database: Database) -> None:
    post_id = database.add_post(ada)
    encoded = "".join(f"%{ord(digit):x}" for digit in str(post_id))
    for segment, status in ((encoded, 200), (encoded.replace("%", "%25"), 422)):
        event = new_event("read_post", user=ada) | {"path": f"{before}/posts/{segment}{ending}"}
        assert invoke(event).status == status


@pytest.mark.parametrize("segment", ["%20{}", "{}%20", "+{}", "{}%0A"])
def test_an_id_may_be_written_as_in_the_reference(segment: str, ada: int) -> None:
    event = new_event("read_user") | {"path": f"/users/{segment.format(ada)}"}
    assert invoke(event).json()["id"] == ada


def test_a_decoded_slash_is_part_of_the_value(ada: int, database: Database) -> None:
    post_id = database.add_post(ada)
    for segment in (f"{post_id}%2F", f"%2F{post_id}", f"{post_id}%2flikes", "%2F"):
        response = invoke(new_event("read_post", user=ada) | {"path": f"/posts/{segment}"})
        assert response.status == 422
        assert [error["loc"] for error in response.json()["detail"]] == [["path", "post_id"]]


@pytest.mark.parametrize("value", ["me", "%6De", "m%65", "%6d%65", "me%2Fposts"])
def test_a_value_leads_to_no_other_route(value: str) -> None:
    response = invoke(new_event("read_user") | {"path": f"/users/{value}"})
    assert response.status == 422
    assert [error["loc"] for error in response.json()["detail"]] == [["path", "user_id"]]


@pytest.mark.parametrize("path", ["/users/me", "/users/%6De", "/%75sers/me/"])
def test_a_literal_segment_may_be_encoded(path: str, ada: int) -> None:
    response = invoke(new_event("read_account", user=ada) | {"path": path})
    assert response.status == 200
    assert response.json()["email"] == "ada@example.com"


@pytest.mark.parametrize("path", ["/posts/7/likes", "/nothing", "/posts", "/", "/posts//", ""])
def test_a_path_that_differs_from_its_resource_is_not_found(path: str, ada: int) -> None:
    response = invoke(new_event("read_post", user=ada) | {"path": path})
    assert response.status == 404
    assert response.json() == {"detail": "Not found"}


def test_the_path_of_the_root_is_a_slash() -> None:
    assert handlers()["/"](new_event("welcome"), Context())["statusCode"] == 200
