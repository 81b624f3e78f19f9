"""The requests that are measured, as the events of a REST API."""

import json
import time
import uuid
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from bench.data import PASSWORD

# Posts of user 1, who asks: enough for every request that changes or deletes one.
OWN_POSTS: Final = range(4_001, 8_001)
# Published posts, each of which user 1 votes on once.
FOREIGN_POSTS: Final = range(1, 4_000, 5)
SESSION: Final = "b3f1c9f2-6c0e-4f43-9d0a-6d4f1f0e2a55"
# What the authorizer says of user 1.
AUTHORIZER: Final = {"user_id": "1", "session_id": SESSION, "principalId": "1", "integrationLatency": 12}
FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"


class Call(NamedTuple):
    """One HTTP request, as its sender sees it."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str
    body: str | None


class Kind(NamedTuple):
    """A kind of request; `make` returns the number-th of them, each of which succeeds once."""

    name: str
    package: str
    resource: str
    status: int
    make: Callable[[int], Call]
    writes: bool = False
    # bcrypt takes 99% of it.
    hashes: bool = False


def kinds() -> list[Kind]:
    """Return every kind of request, in the order in which they can be made."""
    return [
        Kind("get user", "users", "/users/{id}", 200, lambda _: _call("GET", "/users/2")),
        Kind("list", "posts", "/posts", 200, lambda _: _call("GET", "/posts/")),
        Kind("search", "posts", "/posts", 200, lambda _: _call("GET", "/posts/", search="ab")),
        Kind("get post", "posts", "/posts/{id}", 200, lambda _: _call("GET", "/posts/5")),
        Kind("create post", "posts", "/posts", 201, lambda n: _post("POST", "/posts/", n), writes=True),
        Kind("cast vote", "votes", "/vote", 201, lambda n: _vote(n, 1), writes=True),
        Kind("retract vote", "votes", "/vote", 201, lambda n: _vote(n, 0), writes=True),
        Kind("update post", "posts", "/posts/{id}", 200, lambda n: _post("PUT", _own(n), n), writes=True),
        Kind("delete post", "posts", "/posts/{id}", 204, lambda n: _call("DELETE", _own(n)), writes=True),
        Kind("register", "users", "/users", 201, _register, writes=True, hashes=True),
        Kind("login", "auth", "/login", 200, _login, hashes=True),
    ]


def event(kind: Kind, call: Call, token: str) -> dict[str, Any]:
    """Return the event that a REST API makes of a call by user 1.

    It holds the token, which the framework checks itself, and the authorizer's word, which the project and
    the floor take.
    """
    headers = {
        "Accept": "*/*",
        "Authorization": f"Bearer {token}",
        "Content-Type": call.content_type,
        "Host": "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com",
        "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)",
        "X-Amzn-Trace-Id": "Root=1-69217004-5e1c7a9b3d2f4a6081c3e5f7",
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
    }
    number = call.path.rpartition("/")[2]
    return {
        "resource": kind.resource,
        "path": call.path,
        "httpMethod": call.method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": call.query or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in call.query.items()} or None,
        "pathParameters": {"id": number} if "{id}" in kind.resource else None,
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "authorizer": AUTHORIZER,
            "domainName": headers["Host"],
            "httpMethod": call.method,
            "identity": {"sourceIp": "203.0.113.7", "userAgent": headers["User-Agent"]},
            "path": f"/prod{call.path}",
            "protocol": "HTTP/1.1",
            "requestId": str(uuid.uuid4()),
            "requestTimeEpoch": int(time.time() * 1000),
            "resourceId": "abc123",
            "resourcePath": kind.resource,
            "stage": "prod",
        },
        "body": call.body,
        "isBase64Encoded": False,
    }


def first_event(target: str, token: str) -> dict[str, Any]:
    """Return an event for a target's first invocation, of a kind that changes nothing."""
    if target == "authorizer":
        arn = "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5/prod/GET/posts"
        return {"type": "TOKEN", "authorizationToken": f"Bearer {token}", "methodArn": arn}
    name = {"users": "get user", "votes": "retract vote", "auth": "login"}.get(target, "get post")
    kind = next(kind for kind in kinds() if kind.name == name)
    return event(kind, kind.make(0), token)


def _call(method: str, path: str, **query: str) -> Call:
    return Call(method, path, query, JSON, None)


def _json(method: str, path: str, body: dict[str, Any]) -> Call:
    return Call(method, path, {}, JSON, json.dumps(body))


def _own(number: int) -> str:
    return f"/posts/{OWN_POSTS[number]}"


def _post(method: str, path: str, number: int) -> Call:
    post = {"title": f"Title {number}", "content": "What there is to say about it.", "published": True}
    return _json(method, path, post)


def _vote(number: int, direction: int) -> Call:
    return _json("POST", "/vote/", {"post_id": FOREIGN_POSTS[number], "dir": direction})


def _register(number: int) -> Call:
    return _json("POST", "/users/", {"email": f"new-{number}@example.com", "password": PASSWORD})


def _login(_number: int) -> Call:
    form = urlencode({"username": "user1@example.com", "password": PASSWORD})
    return Call("POST", "/login", {}, FORM, form)
