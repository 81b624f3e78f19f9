"""Which route a method and a path match."""

import pytest

from local.gateway.api import Route
from local.gateway.routes import Router

ROUTER = Router(
    Route(method, resource, resource, None)
    for method, resource in [
        ("GET", "/"),
        ("GET", "/posts"),
        ("ANY", "/posts/{id}"),
        ("GET", "/posts/latest"),
        ("GET", "/users/{id}"),
        ("GET", "/users/me"),
        ("GET", "/files/{path+}"),
    ]
)


@pytest.mark.parametrize(
    ("path", "resource", "parameters"),
    [
        ("/", "/", {}),
        ("/posts", "/posts", {}),
        ("/posts/", "/posts", {}),
        ("/p%6Fsts", "/posts", {}),
        ("/posts/7", "/posts/{id}", {"id": "7"}),
        ("/posts/7/", "/posts/{id}", {"id": "7"}),
        ("/posts/latest", "/posts/latest", {}),
        ("/posts/a%2Fb%20c", "/posts/{id}", {"id": "a/b c"}),
        ("/posts/%31", "/posts/{id}", {"id": "1"}),
        ("/posts/1%2F2", "/posts/{id}", {"id": "1/2"}),
        ("/posts/%2531", "/posts/{id}", {"id": "%31"}),
        ("/posts/1+2", "/posts/{id}", {"id": "1+2"}),
        ("/users/%6De", "/users/me", {}),
        ("/users/me%2F", "/users/{id}", {"id": "me/"}),
        ("/posts/%zz%ff", "/posts/{id}", {"id": "%zz\ufffd"}),
        ("/posts/%00", "/posts/{id}", {"id": "\0"}),
        ("/posts/..", "/posts/{id}", {"id": ".."}),
        ("/files/a/b%20c", "/files/{path+}", {"path": "a/b c"}),
    ],
)
def test_a_declared_path(path: str, resource: str, parameters: dict[str, str]) -> None:
    match = ROUTER.match("GET", path)
    assert match is not None
    assert match.route.resource == resource
    assert match.parameters == parameters


@pytest.mark.parametrize(
    "path",
    [
        "//",
        "///",
        "//posts",
        "/posts//",
        "/nope",
        "/posts/7/more",
        "/POSTS",
        "/files",
        "/posts%2F7",
        "*",
        "",
        "/posts?",
    ],
)
def test_an_undeclared_path(path: str) -> None:
    assert ROUTER.match("GET", path) is None


def test_methods() -> None:
    assert ROUTER.match("POST", "/posts") is None
    assert ROUTER.match("HEAD", "/posts") is None
    assert ROUTER.match("DELETE", "/posts/7") is not None
