"""Other lists: sort, published=false, GET /users/{id}/posts."""

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.contract.client import (
    Account,
    assert_detail,
    assert_invalid,
    assert_unauthorized,
    new_account,
    new_post,
    vote,
)

MISSING_ID = 2_147_483_647
LISTS = ["/posts?search={mark}", "/posts?published=false&search={mark}", "/users/{author}/posts"]
Fields = dict[str, Any]


class SamplePosts:
    """Posts of an author: some have votes, some are drafts."""

    def __init__(self, client: httpx.Client, author: Account, voters: list[Account]) -> None:
        self.author = author
        self.mark = uuid.uuid4().hex
        self.posts = [
            new_post(client, author, title=f"{self.mark} {number}", published=number % 3 > 0)
            for number in range(9)
        ]
        # Those with the same number of votes are newest first.
        self.votes = {post["id"]: number % 2 for number, post in enumerate(self.posts)}
        self.votes[self.posts[4]["id"]] = 2
        for post in self.posts:
            for voter in [author, *voters][: self.votes[post["id"]]]:
                # Nobody else sees a draft.
                assert vote(client, voter, post["id"]).status_code == 201

    def path(self, target: str, **query: object) -> str:
        """Return the path of a list with more query parameters."""
        path = target.format(mark=self.mark, author=self.author.id)
        for name, value in query.items():
            path += ("&" if "?" in path else "?") + f"{name}={value}"
        return path

    def sorted(self, target: str, sort: str, *, mine: bool = True) -> list[int]:
        """Return the expected ids of a list, for the author or for another viewer."""
        drafts_only = "published=false" in target
        seen = [post for post in self.posts if not (drafts_only and post["published"])]
        ids = [post["id"] for post in seen if mine or post["published"]]
        if sort == "old":
            return ids
        return sorted(ids, key=lambda ident: (self.votes[ident] if sort == "top" else 0, ident), reverse=True)


@pytest.fixture(scope="module")
def sample(client: httpx.Client, bob: Account) -> SamplePosts:
    """Return posts that no test changes."""
    return SamplePosts(client, new_account(client), [bob])


def pages(client: httpx.Client, viewer: Account, path: str) -> Iterator[list[Fields]]:
    target: str | None = path
    # For gateways that do not set X-Forwarded-Proto themselves.
    headers = viewer.headers | {"X-Forwarded-Proto": client.base_url.scheme}
    while target:
        response = client.get(target, headers=headers)
        assert response.status_code == 200, response.text
        yield response.json()
        target = response.links["next"]["url"] if "next" in response.links else None


def ids(client: httpx.Client, viewer: Account, path: str) -> list[int]:
    return [entry["Post"]["id"] for page in pages(client, viewer, path) for entry in page]


@pytest.mark.parametrize("sort", ["new", "old", "top"])
@pytest.mark.parametrize("target", LISTS)
def test_the_links_of_a_list_lead_through_all_posts_in_order(
    client: httpx.Client, sample: SamplePosts, target: str, sort: str
) -> None:
    expected = sample.sorted(target, sort)
    assert ids(client, sample.author, sample.path(target, sort=sort, limit=2)) == expected
    [entries] = pages(client, sample.author, sample.path(target, sort=sort, limit=100))
    assert [entry["Post"]["id"] for entry in entries] == expected
    assert [entry["vote"] for entry in entries] == [sample.votes[ident] for ident in expected]
    assert [entry["Post"] for entry in entries] == sorted(
        (post for post in sample.posts if post["id"] in expected), key=lambda post: expected.index(post["id"])
    )


@pytest.mark.parametrize("target", LISTS)
def test_only_the_owner_sees_drafts_in_lists(
    client: httpx.Client, sample: SamplePosts, bob: Account, target: str
) -> None:
    expected = [] if "published=false" in target else sample.sorted(target, "new", mine=False)
    assert ids(client, bob, sample.path(target, limit=4)) == expected


def test_the_list_of_an_author_can_be_searched(client: httpx.Client, sample: SamplePosts, slash: str) -> None:
    path = f"/users/{sample.author.id}/posts{slash}"
    response = client.get(path, params={"search": f"{sample.mark} 7"}, headers=sample.author.headers)
    assert [entry["Post"] for entry in response.json()] == [sample.posts[7]]
    response = client.get(path, params={"skip": 7, "limit": 9}, headers=sample.author.headers)
    assert [entry["Post"] for entry in response.json()] == [sample.posts[1], sample.posts[0]]


def test_the_list_of_an_author_without_posts_is_empty(client: httpx.Client, ada: Account) -> None:
    nobody = new_account(client)
    assert ids(client, ada, f"/users/{nobody.id}/posts") == []
    assert ids(client, nobody, "/posts?published=false") == []


def test_the_list_of_a_missing_author_is_not_found(client: httpx.Client, ada: Account, slash: str) -> None:
    assert_detail(client.get(f"/users/{MISSING_ID}/posts{slash}", headers=ada.headers), 404)
    for ident in ("ada", "2147483648", "1.5", "%00"):
        assert_invalid(client.get(f"/users/{ident}/posts{slash}", headers=ada.headers), "path")


def test_the_list_of_an_author_requires_a_token(
    client: httpx.Client, sample: SamplePosts, deleted: Account, slash: str
) -> None:
    path = f"/users/{sample.author.id}/posts{slash}"
    assert_unauthorized(client.get(path))
    assert_unauthorized(client.get(path, headers=deleted.headers))


@pytest.mark.parametrize("target", ["/posts", "/users/{author}/posts"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sort", "best"),
        ("sort", "NEW"),
        ("sort", ""),
        ("limit", "101"),
        ("skip", "-1"),
        ("search", "%00"),
        ("cursor", "made-up"),
        ("cursor", "bmV3"),
        ("cursor", "%F0%9F%90%98"),
        ("cursor", "a" * 5_000),
    ],
)
def test_an_invalid_list_parameter(
    client: httpx.Client, sample: SamplePosts, target: str, name: str, value: str
) -> None:
    response = client.get(sample.path(target, **{name: value}), headers=sample.author.headers)
    assert_invalid(response, "query", name)


def test_published_must_be_a_boolean(client: httpx.Client, ada: Account) -> None:
    assert_invalid(client.get("/posts?published=perhaps", headers=ada.headers), "query", "published")


@pytest.mark.parametrize(("sort", "other"), [("new", "old"), ("old", "top"), ("top", "new")])
def test_a_cursor_of_another_order_is_invalid(
    client: httpx.Client, sample: SamplePosts, sort: str, other: str
) -> None:
    response = client.get(sample.path(LISTS[0], sort=sort, limit=1), headers=sample.author.headers)
    cursor = httpx.URL(response.links["next"]["url"]).params["cursor"]
    response = client.get(sample.path(LISTS[0], sort=other, cursor=cursor), headers=sample.author.headers)
    assert_invalid(response, "query", "cursor")


@contextmanager
def concurrently(work: Callable[[], object]) -> Iterator[None]:
    """Repeat the work in another thread until the end of the block."""
    enough = threading.Event()

    def repeat() -> None:
        while not enough.is_set():
            work()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(repeat)
        try:
            # Start the block when the work has started.
            assert not wait([done], timeout=0.1).done
            yield
        finally:
            enough.set()
        done.result()


@pytest.mark.parametrize("sort", ["new", "old"])
@pytest.mark.parametrize("target", LISTS)
def test_following_the_links_finds_each_post_once_despite_concurrent_writes(
    client: httpx.Client, target: str, sort: str
) -> None:
    author = new_account(client)
    sample = SamplePosts(client, author, [])

    def create_and_delete() -> None:
        post = new_post(client, author, title=sample.mark, published="published=false" not in target)
        assert client.delete(f"/posts/{post['id']}", headers=author.headers).status_code == 204

    with concurrently(create_and_delete):
        for _ in range(3):
            found = ids(client, author, sample.path(target, sort=sort, limit=2))
            assert len(set(found)) == len(found)
            known = sample.sorted(target, sort)
            assert [ident for ident in found if ident in known] == known


def test_following_the_links_by_votes_finds_unchanged_posts_once(client: httpx.Client, bob: Account) -> None:
    author = new_account(client)
    sample = SamplePosts(client, author, [bob])
    changing = new_post(client, author, title=sample.mark)["id"]

    def vote_and_retract() -> None:
        assert vote(client, author, changing).status_code == 201
        assert vote(client, bob, changing).status_code == 201
        assert vote(client, author, changing, 0).status_code == 201
        assert vote(client, bob, changing, 0).status_code == 201

    with concurrently(vote_and_retract):
        for target in (LISTS[0], LISTS[2]):
            found = ids(client, author, sample.path(target, sort="top", limit=2))
            assert [ident for ident in found if ident != changing] == sample.sorted(target, "top")
