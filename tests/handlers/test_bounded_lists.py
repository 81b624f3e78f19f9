"""Lists that stop early: the pages together have each post once and in order, wherever a statement stops.

The limits are so small that a few posts reach them. The ids of posts are in several segments of the index and
not in the order of their age.
"""

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import Integer, literal_column

from posts import handler, limits, lists
from posts.paging import Sort
from tests.support.database import Database
from tests.support.lambdas import call

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SMALL_LIMITS = {
    "FIRST_SCAN": "1",
    "LONG_SCAN": "3",
    "SCAN_BY_VOTES": "3",
    "AUTHOR_SCAN": "4",
    "CANDIDATES": "2",
    "MIN_SEGMENTS": "1",
}
# Letters that differ and letters that the index takes for the same, of one to four bytes, and combining ones.
ALPHABET = "aAq1\u0301é日\u65e5本🐘%"
SORTS: list[Sort] = ["new", "old", "top"]


@pytest.fixture(scope="module")
def bounded_lists() -> Iterator[ModuleType]:
    """Return `posts.lists` with small limits; no search has time for more than one segment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALL_LIMITS.items():
            patch.setattr(limits, name, literal_column(value, Integer()))
        patch.setattr(limits, "SEARCH_TIME", literal_column("interval '-1 second'"))
        yield _copy_of(lists)


def _copy_of(module: ModuleType) -> ModuleType:
    spec = module.__spec__
    assert spec
    assert spec.loader
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy


@pytest.fixture(autouse=True)
def _use(bounded_lists: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the handler run these statements."""
    for name, statements in (
        ("feed", handler.FEED),
        ("search", handler.SEARCH),
        ("drafts", handler.DRAFTS),
        ("author", handler.AUTHOR),
    ):
        for sort in SORTS:
            monkeypatch.setitem(statements, sort, getattr(bounded_lists, f"{name}_{sort}"))


@dataclass(frozen=True)
class Post:
    """A post to write; `id` is its place among all."""

    id: int
    owner: str
    title: str
    published: bool
    created_at: datetime
    votes: int


@st.composite
def posts(draw: st.DrawFn) -> list[Post]:
    """Draw posts with ids in three segments."""
    written = draw(
        st.lists(
            st.tuples(
                st.integers(0, 2),
                st.sampled_from(["ada", "bob"]),
                st.text(ALPHABET, max_size=6),
                st.sampled_from([1, 1, 1, 40]),
                st.booleans() | st.just(True),  # noqa: FBT003  # most posts are published
                st.integers(0, 3),
                st.sampled_from([0, 0, 1, 2]),
            ),
            max_size=14,
        )
    )
    return [
        Post(
            (segment << 16) + 1 + place,
            owner,
            title * repeated,
            published,
            NOON + timedelta(hours=hour),
            votes,
        )
        for place, (segment, owner, title, repeated, published, hour, votes) in enumerate(written)
    ]


def store(database: Database, ids: dict[str, int], written: list[Post]) -> None:
    database.run("DELETE FROM posts")
    for post in written:
        add(database, ids, post)


def add(database: Database, ids: dict[str, int], post: Post) -> None:
    database.run(
        "INSERT INTO posts (id, owner_id, title, content, published, created_at)"
        " VALUES (:id, :owner, :title, 'c', :published, :created_at)",
        id=post.id,
        owner=ids[post.owner],
        title=post.title,
        published=post.published,
        created_at=post.created_at,
    )
    for voter in range(post.votes):
        database.add_vote(ids[f"voter{voter}"], post.id)


def in_order(written: list[Post], sort: str) -> list[int]:
    if sort == "top":
        return [post.id for post in sorted(written, key=lambda post: (-post.votes, -post.id))]
    ordered = sorted(written, key=lambda post: (post.created_at, post.id), reverse=sort == "new")
    return [post.id for post in ordered]


def follow(
    name: str,
    user: int,
    query: dict[str, str],
    item: int | None = None,
    between: Callable[[], object] = lambda: None,
) -> list[int]:
    """Return the ids on all pages; fail if a page is too long or the links do not end."""
    seen: list[int] = []
    limit = int(query["limit"])
    for _ in range(200):
        response = call(name, user=user, item=item, query=list(query.items()))
        assert response.status == 200, response
        ids = [entry["Post"]["id"] for entry in response.json()]
        assert len(ids) <= limit
        seen += ids
        if "Link" not in response.headers:
            return seen
        [link] = response.headers["Link"]
        query = dict(parse_qsl(urlsplit(link.partition(">")[0].removeprefix("<")).query))
        between()
    raise AssertionError("the links do not end")


@pytest.fixture
def ids(ada: int, bob: int, database: Database) -> dict[str, int]:
    """Return the ids of the users by name."""
    voters = {f"voter{number}": database.add_user(f"voter{number}@example.com") for number in range(2)}
    return {"ada": ada, "bob": bob} | voters


PAGES = st.fixed_dictionaries(
    {"sort": st.sampled_from(SORTS), "limit": st.integers(1, 5).map(str), "skip": st.integers(0, 6).map(str)}
)
TERMS = st.text(ALPHABET, min_size=1, max_size=3)
IN_ONE_DATABASE = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60
)  # an example begins by deleting


@st.composite
def a_search(draw: st.DrawFn) -> tuple[list[Post], str]:
    """Draw posts, and a term that is usually a part of a title."""
    written = draw(posts())
    titles = [post.title for post in written if post.title]
    is_part = draw(st.booleans())
    if titles and is_part:
        title = draw(st.sampled_from(titles))
        start = draw(st.integers(0, len(title) - 1))
        return written, title[start : start + draw(st.integers(1, 20))]
    return written, draw(TERMS)


NO_SEARCH = posts().map(lambda written: (written, ""))


@IN_ONE_DATABASE
@given(search=a_search(), page=PAGES)
def test_a_search_finds_every_title_that_contains_the_term_once_and_in_order(
    ids: dict[str, int], database: Database, search: tuple[list[Post], str], page: dict[str, str]
) -> None:
    written, term = search
    store(database, ids, written)
    found = [post for post in written if term in post.title and (post.published or post.owner == "ada")]
    expected = in_order(found, page["sort"])[int(page["skip"]) :]
    assert follow("list_posts", ids["ada"], page | {"search": term}) == expected


@IN_ONE_DATABASE
@given(written=posts(), page=PAGES)
def test_the_feed_has_every_visible_post_once_and_in_order(
    ids: dict[str, int], database: Database, written: list[Post], page: dict[str, str]
) -> None:
    store(database, ids, written)
    visible = [post for post in written if post.published or post.owner == "ada"]
    assert follow("list_posts", ids["ada"], page) == in_order(visible, page["sort"])[int(page["skip"]) :]


@IN_ONE_DATABASE
@given(search=a_search() | NO_SEARCH, page=PAGES, viewer=st.sampled_from(["ada", "bob"]))
def test_an_author_s_list_has_each_of_their_posts_once_and_in_order(
    ids: dict[str, int],
    database: Database,
    search: tuple[list[Post], str],
    page: dict[str, str],
    viewer: str,
) -> None:
    written, term = search
    store(database, ids, written)
    own = [post for post in written if post.owner == "bob" and (post.published or viewer == "bob")]
    expected = in_order([post for post in own if term in post.title], page["sort"])[int(page["skip"]) :]
    assert follow("list_user_posts", ids[viewer], page | {"search": term}, item=ids["bob"]) == expected


@IN_ONE_DATABASE
@given(search=a_search() | NO_SEARCH, page=PAGES)
def test_a_list_of_drafts_has_each_of_them_once_and_in_order(
    ids: dict[str, int],
    database: Database,
    search: tuple[list[Post], str],
    page: dict[str, str],
) -> None:
    written, term = search
    store(database, ids, written)
    drafts = [post for post in written if post.owner == "ada" and not post.published and term in post.title]
    expected = in_order(drafts, page["sort"])[int(page["skip"]) :]
    query = page | {"search": term, "published": "false"}
    assert follow("list_posts", ids["ada"], query) == expected


@IN_ONE_DATABASE
@given(search=a_search(), page=PAGES, changes=st.lists(st.tuples(st.integers(0, 13), st.integers(0, 3))))
def test_what_stays_is_found_once_while_posts_are_written_and_deleted(
    ids: dict[str, int],
    database: Database,
    search: tuple[list[Post], str],
    page: dict[str, str],
    changes: list[tuple[int, int]],
) -> None:
    written, term = search
    assume(written)
    store(database, ids, written)
    page = page | {"skip": "0"}
    removed: set[int] = set()
    # In steps larger than the places of posts, so that no two ids are equal.
    number = iter(range(100, 60_000, 100))

    def change() -> None:
        if changes:
            place, hour = changes.pop()
            post = written[place % len(written)]
            created_at = NOON + timedelta(hours=hour)
            added = replace(post, id=post.id + next(number), title=term, created_at=created_at)
            add(database, ids, added)
            if place % 2:
                removed.add(post.id)
                database.run("DELETE FROM posts WHERE id = :id", id=post.id)

    seen = follow("list_posts", ids["ada"], page | {"search": term}, between=change)
    known = {post.id for post in written}
    found = [post for post in written if term in post.title and (post.published or post.owner == "ada")]
    stayed = [post for post in found if post.id not in removed]
    assert [post_id for post_id in seen if post_id in known - removed] == in_order(stayed, page["sort"])
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("sort", SORTS)
def test_a_page_ends_among_very_many_posts_of_a_deleted_account(
    sort: Sort, ids: dict[str, int], database: Database
) -> None:
    deleted = range(100, 120)
    for number in deleted:
        add(database, ids, Post(number, "bob", "t", published=True, created_at=NOON, votes=1))
    hours = {1: -1, 2: 1}
    for number, hour in hours.items():
        created_at = NOON + timedelta(hours=hour)
        add(database, ids, Post(number, "ada", "t", published=True, created_at=created_at, votes=0))
    database.run("INSERT INTO deleted_users (user_id) VALUES (:bob)", bob=ids["bob"])
    response = call("list_posts", user=ids["ada"], query=[("sort", sort), ("limit", "10")])
    # Each reads at most 14 rows: an account with very many posts must not slow down the list of all others.
    assert len(response.json()) < len(hours)
    assert "Link" in response.headers
    expected = {"new": [2, 1], "old": [1, 2], "top": [2, 1]}[sort]
    assert follow("list_posts", ids["ada"], {"sort": sort, "limit": "10"}) == expected


def statements(module: ModuleType) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if name.endswith(("_new", "_old", "_top"))}


def test_the_small_limits_are_in_the_statements(bounded_lists: ModuleType) -> None:
    for name, statement in statements(lists).items():
        assert statement.sql != getattr(bounded_lists, name).sql
