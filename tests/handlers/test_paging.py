"""GET /posts/: the Link header leads through all pages."""

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.database import Database
from tests.support.lambdas import Response, call, new_event

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

Query = list[tuple[str, str]]


def next_link(response: Response) -> str:
    [link] = response.headers["Link"]
    matched = re.fullmatch('<(.+)>; rel="next"', link)
    assert matched
    return matched[1]


def follow_links(user: int, query: Query, *, between: Callable[[], object] = lambda: None) -> list[int]:
    """Follow the links from page to page; return the ids of all posts."""
    seen = []
    while True:
        response = call("list_posts", user=user, query=query)
        assert response.status == 200
        seen += [entry["Post"]["id"] for entry in response.json()]
        if "Link" not in response.headers:
            return seen
        query = parse_qsl(urlsplit(next_link(response)).query, strict_parsing=True)
        between()


@pytest.mark.parametrize("host", [None, "evil.example", 'evil.example>; rel="next", <https://evil.example'])
@pytest.mark.parametrize("protocol", [None, "https", 'evil://evil.example>; rel="next", <https'])
def test_the_link_repeats_no_header(
    host: str | None, protocol: str | None, ada: int, database: Database
) -> None:
    for number in range(2):
        database.add_post(ada, str(number))
    headers = {"Host": host, "X-Forwarded-Proto": protocol}
    link = next_link(call("list_posts", user=ada, query=[("limit", "1")], headers=headers))
    domain = new_event("list_posts")["requestContext"]["domainName"]
    assert link.startswith(f"https://{domain}/prod/posts/?limit=1&cursor=")


def test_the_link_is_the_requested_url_with_a_cursor(ada: int, database: Database) -> None:
    for _ in range(5):
        database.add_post(ada, "50% & more")
    response = call("list_posts", user=ada, query=[("limit", "2"), ("search", "% & m"), ("skip", "1")])
    link = urlsplit(next_link(response))
    assert (link.scheme, link.netloc) == ("https", "k3x9w2v7qd.execute-api.eu-central-1.amazonaws.com")
    assert link.path == "/prod/posts/"
    query = dict(parse_qsl(link.query))
    assert query.keys() == {"limit", "search", "cursor"}
    assert (query["limit"], query["search"]) == ("2", "% & m")


@pytest.mark.parametrize(("posts", "pages"), [(3, [2, 1]), (4, [2, 2]), (2, [2]), (1, [1])])
def test_the_last_page_has_no_link_and_no_page_is_empty(
    posts: int, pages: list[int], ada: int, database: Database
) -> None:
    for _ in range(posts):
        database.add_post(ada)
    seen = []
    walk_query: Query = [("limit", "2")]
    while walk_query:
        response = call("list_posts", user=ada, query=walk_query)
        seen.append(len(response.json()))
        walk_query = parse_qsl(urlsplit(next_link(response)).query) if "Link" in response.headers else []
    assert seen == pages


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_following_the_links_finds_each_post_once_despite_concurrent_writes(
    limit: int, ada: int, bob: int, database: Database
) -> None:
    # Posts with the same time, some of them drafts, on more than one page.
    moments = [NOON - timedelta(minutes=number // 3) for number in range(12)]
    written = [
        database.add_post(ada if number % 2 else bob, published=number % 4 != 3, created_at=moment)
        for number, moment in enumerate(moments)
    ]
    passing: list[int] = []

    def write_and_delete() -> None:
        passing.append(database.add_post(bob, created_at=NOON + timedelta(minutes=1)))
        passing.append(database.add_post(bob, published=False, created_at=NOON - timedelta(seconds=90)))
        passing.append(database.add_post(bob, created_at=NOON - timedelta(seconds=90)))
        database.run("DELETE FROM posts WHERE id = :post_id", post_id=passing[0])

    seen = follow_links(ada, [("limit", str(limit))], between=write_and_delete)
    assert sorted(set(seen) - set(passing)) == sorted(written)
    assert len(seen) == len(set(seen))


def test_links_work_from_a_page_in_the_middle(ada: int, database: Database) -> None:
    posts = [database.add_post(ada) for _ in range(7)]
    assert follow_links(ada, [("limit", "2"), ("skip", "3")]) == posts[::-1][3:]


def test_links_lead_through_the_results_of_a_search(ada: int, database: Database) -> None:
    found = [database.add_post(ada, f"{number} tea") for number in range(5)]
    for number in range(5):
        database.add_post(ada, f"{number} coffee")
    assert follow_links(ada, [("limit", "2"), ("search", "tea")]) == found[::-1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # no example changes a row
@example(sort="new", after=datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), post_id=1)
@example(sort="old", after=datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))), post_id=1)
@example(sort="new", after=NOON, post_id=-(2**31) - 1)
@example(sort="new", after=NOON, post_id=2**31)
@example(sort="top", after=-(2**31) - 1, post_id=1)
@example(sort="top", after=2**31, post_id=1)
@given(
    sort=st.sampled_from(["new", "old", "top"]),
    after=st.datetimes(timezones=st.sampled_from([UTC, None])) | st.integers(),
    post_id=st.integers(),
)
def test_an_invented_cursor_is_a_page_or_invalid(
    ada: int, sort: str, after: datetime | int, post_id: int
) -> None:
    position = after.isoformat() if isinstance(after, datetime) else after
    cursor = base64.urlsafe_b64encode(f"{sort} {position} {post_id}".encode()).decode().rstrip("=")
    response = call("list_posts", user=ada, query=[("cursor", cursor), ("sort", sort)])
    assert response.status in {200, 422}


@pytest.mark.parametrize(
    ("sort", "after"), [("new", NOON.isoformat()), ("old", NOON.isoformat()), ("top", 7)]
)
def test_an_invented_cursor_in_our_format_is_a_page(sort: str, after: object, ada: int) -> None:
    # This shows that the test above rejects the values, not the format.
    cursor = base64.urlsafe_b64encode(f"{sort} {after} 1".encode()).decode().rstrip("=")
    assert call("list_posts", user=ada, query=[("cursor", cursor), ("sort", sort)]).status == 200
