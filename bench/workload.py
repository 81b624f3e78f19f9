"""The requests that are measured, made from the recorded events of the tests."""

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode

from bench.databases import FOREIGN_POSTS, OWN_POSTS, PASSWORD
from bench.packages import AUTHORIZER, SESSION
from tests.support.lambdas import Event, load_event, new_event


class Kind(NamedTuple):
    """A kind of request.

    Attributes:
        name: as the tables call it.
        package: the project's function that serves it.
        event: the recorded event that it changes.
        status: the status of each response.
        changes: returns what the request with a number changes in the event; each number is sent once.
        writes: whether it changes rows.
        hashes: whether it hashes a password; bcrypt takes 99% of it.

    """

    name: str
    package: str
    event: str
    status: int
    changes: Callable[[int], dict[str, Any]]
    writes: bool = False
    hashes: bool = False


def kinds() -> list[Kind]:
    """Return every kind of request, in an order in which each can be sent."""
    return [
        Kind("get user", "users", "read_user", 200, lambda _: {"item": 2}),
        Kind("list", "posts", "list_posts", 200, lambda _: {"query": [("limit", "10")]}),
        Kind("search", "posts", "list_posts", 200, lambda _: {"query": [("search", "ab")]}),
        Kind("get post", "posts", "read_post", 200, lambda _: {"item": 5}),
        Kind("create post", "posts", "create_post", 201, lambda n: {"body": _post(n)}, writes=True),
        Kind("cast vote", "votes", "vote", 201, lambda n: {"body": _vote(n, 1)}, writes=True),
        Kind("retract vote", "votes", "vote", 201, lambda n: {"body": _vote(n, 0)}, writes=True),
        Kind("update post", "posts", "change_post", 200, _update, writes=True),
        Kind("delete post", "posts", "delete_post", 204, lambda n: {"item": OWN_POSTS[n]}, writes=True),
        Kind("register", "users", "sign_up", 201, _sign_up, writes=True, hashes=True),
        Kind("login", "auth", "login", 200, _log_in, hashes=True),
    ]


def event(kind: Kind, number: int, token: str) -> Event:
    """Return the event of the request with this number, sent by user 1.

    It holds the token, which FastAPI checks itself, and the context of the authorizer, which the project and
    the floor use.
    """
    changed = new_event(kind.event, headers={"Authorization": f"Bearer {token}"}, **kind.changes(number))
    if "authorizer" in changed["requestContext"]:
        changed["requestContext"]["authorizer"] |= {"user_id": "1", "principalId": "1", "session_id": SESSION}
    return changed


def first_event(subject: str, token: str) -> Event:
    """Return an event for a subject's first invocation; it changes nothing."""
    if subject == AUTHORIZER:
        return load_event("authorize") | {"authorizationToken": f"Bearer {token}"}
    name = {"users": "get user", "votes": "retract vote", "auth": "login"}.get(subject, "get post")
    return event(next(kind for kind in kinds() if kind.name == name), 0, token)


def _post(number: int) -> dict[str, Any]:
    return {"title": f"Title {number}", "content": "What there is to say about it.", "published": True}


def _update(number: int) -> dict[str, Any]:
    return {"item": OWN_POSTS[number], "body": _post(number)}


def _vote(number: int, direction: int) -> dict[str, Any]:
    return {"post_id": FOREIGN_POSTS[number], "dir": direction}


def _sign_up(number: int) -> dict[str, Any]:
    return {"body": {"email": f"new-{number}@example.com", "password": PASSWORD}}


def _log_in(_number: int) -> dict[str, Any]:
    return {"body": urlencode({"username": "user1@example.com", "password": PASSWORD})}
