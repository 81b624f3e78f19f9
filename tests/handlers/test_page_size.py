"""A page of posts ends before the response would be too large for Lambda, and `Link` continues.

Lambda's limit is 6 MB, for the response of a function as JSON, in which the body is a string.
"""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.support.database import Database
from tests.support.lambdas import call

PAGE_BYTES = 4_000_000
# Characters that JSON writes with one to seven bytes when it is inside JSON.
CHARACTERS = ["a", "ä", "\n", '"', "\\", "🐘", "\x01", "\x7f", "\u2028"]
LISTS = [
    ("list_posts", []),
    ("list_posts", [("sort", "old")]),
    ("list_posts", [("sort", "top")]),
    ("list_posts", [("search", "t")]),
    ("list_posts", [("search", "t"), ("sort", "top")]),
    ("list_user_posts", []),
    ("list_user_posts", [("sort", "top")]),
    ("list_posts", [("published", "false")]),
]


def add_posts(
    database: Database, owner: int, number: int, content: str, *, published: bool = True
) -> list[int]:
    """Insert posts without sending each of them, newest last, and return their ids from the newest on."""
    rows = database.run(
        "INSERT INTO posts (owner_id, title, content, published, created_at)"
        " SELECT :owner, 't', :content, :published, now() + number * interval '1 second'"
        " FROM generate_series(1, CAST(:number AS integer)) AS number RETURNING id",
        owner=owner,
        content=content,
        published=published,
        number=number,
    )
    return [post_id for [post_id] in reversed(rows)]


def pages(name: str, user: int, query: list[tuple[str, str]]) -> list[list[int]]:
    """Return the ids of posts on each page; fail if a page is too large or the links do not end."""
    found = []
    item = user if name == "list_user_posts" else None
    for _ in range(100):
        response = call(name, user=user, item=item, query=query)
        assert response.status == 200, response.body[:1_000]
        assert len(json.dumps(response.body, ensure_ascii=False).encode()) <= PAGE_BYTES
        found.append([entry["Post"]["id"] for entry in response.json()])
        if "Link" not in response.headers:
            return found
        [link] = response.headers["Link"]
        query = parse_qsl(urlsplit(link.partition(">")[0].removeprefix("<")).query)
    raise AssertionError("the links do not end")


@pytest.mark.parametrize("character", CHARACTERS)
def test_no_page_is_too_large_and_none_is_much_smaller_than_it_could_be(
    character: str, ada: int, database: Database
) -> None:
    size = len(json.dumps(json.dumps(character, ensure_ascii=False), ensure_ascii=False).encode()) - 6
    assert 1 <= size <= 7
    number = 5_000_000 // (50_000 * size) + 2
    ids = add_posts(database, ada, number, character * 50_000)
    first, *others = pages("list_posts", ada, [("limit", "100")])
    assert first + [post_id for page in others for post_id in page] == ids
    assert len(first) == pytest.approx(PAGE_BYTES / (50_000 * size + 1_500), abs=1)


@pytest.mark.parametrize(("name", "query"), LISTS)
def test_every_list_is_bounded_and_complete(
    name: str, query: list[tuple[str, str]], ada: int, database: Database
) -> None:
    ids = add_posts(database, ada, 25, "\x01" * 50_000, published=("published", "false") not in query)
    if ("sort", "old") in query:
        ids.reverse()
    for limit in (10, 100):
        found = pages(name, ada, [*query, ("limit", str(limit)), ("skip", "3")])
        assert [post_id for page in found for post_id in page] == ids[3:]
        assert len(found[0]) == min(limit, 11)


def test_a_content_beyond_the_bound_is_cut_and_makes_no_list_fail(ada: int, database: Database) -> None:
    ids = add_posts(database, ada, 3, "ä" * 10_000_000)
    title = "t" * 2_000_000
    database.run("UPDATE posts SET title = :title WHERE id = :id", title=title, id=ids[0])
    for name, query in LISTS[:-1]:
        found = pages(name, ada, query)
        assert sorted(post_id for page in found for post_id in page) == sorted(ids)
    post = call("read_post", user=ada, item=ids[0]).json()
    assert (post["title"], post["content"]) == ("t" * 1_000, "ä" * 50_000)


def test_a_client_may_send_back_what_was_cut(ada: int, database: Database) -> None:
    [post_id] = add_posts(database, ada, 1, "ä" * 60_000)
    database.run("UPDATE posts SET title = :title", title="t" * 1_200)
    post = call("read_post", user=ada, item=post_id).json()
    body = {name: post[name] for name in ("title", "content", "published")}
    assert call("change_post", user=ada, item=post_id, body=body).json() == post
    assert database.value("SELECT length(content) FROM posts") == 60_000
    changed = call("change_post", user=ada, item=post_id, body=body | {"content": "new"})
    assert changed.json() == post | {"content": "new"}
    assert call("delete_post", user=ada, item=post_id).status == 204
