"""GET /, /docs and /openapi.json."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from tests.support.lambdas import call, invoke, load_event

OPERATIONS = {
    ("/users", "post"),
    ("/users/{id}", "get"),
    ("/login", "post"),
    ("/posts", "get"),
    ("/posts", "post"),
    ("/posts/{id}", "get"),
    ("/posts/{id}", "put"),
    ("/posts/{id}", "delete"),
    ("/vote", "post"),
    ("/", "get"),
    ("/openapi.json", "get"),
}
METHODS = {"get", "post", "put", "patch", "delete"}


def test_the_welcome_says_where_the_documentation_is() -> None:
    response = call("welcome")
    assert response.status == 200
    assert response.json().keys() == {"message"}
    assert "/docs" in response.json()["message"]
    assert "/openapi.json" in response.json()["message"]


def test_the_document_describes_every_path_of_every_function() -> None:
    response = call("openapi")
    assert response.status == 200
    assert response.headers["Content-Type"] == ["application/json"]
    described = {
        (re.sub(r"{\w+}", "{id}", path), method)
        for path, item in response.json()["paths"].items()
        for method in item.keys() & METHODS
    }
    assert described >= OPERATIONS


@pytest.mark.parametrize(
    ("path", "server", "token_url"),
    [("/prod/openapi.json", "/prod", "/prod/login"), ("/openapi.json", "/", "/login")],
)
def test_the_servers_of_the_document_include_the_stage(path: str, server: str, token_url: str) -> None:
    event = load_event("openapi")
    event["requestContext"]["path"] = path
    document = invoke(event).json()
    assert document["servers"] == [{"url": server}]
    [scheme] = [
        scheme for scheme in document["components"]["securitySchemes"].values() if scheme["type"] == "oauth2"
    ]
    assert scheme["flows"]["password"]["tokenUrl"] == token_url


class Loads(HTMLParser):
    """Collects the URLs that a page makes a browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "img", "iframe"}:
            self.addresses += [value for name, value in attrs if name in {"src", "href"}]


def test_the_page_contains_the_document_and_loads_nothing() -> None:
    response = call("docs")
    assert response.status == 200
    assert response.headers["Content-Type"] == ["text/html; charset=utf-8"]
    assert json.dumps(call("openapi").json()["info"]["title"]) in response.body
    page = Loads()
    page.feed(response.body)
    assert [address for address in page.addresses if not str(address).startswith("data:")] == []


def test_the_page_may_run_its_own_scripts_only() -> None:
    response = call("docs")
    scripts = re.findall("<script>(.*?)</script>", response.body, re.DOTALL)
    assert len(scripts) == 2
    hashes = [b64encode(sha256(script.encode()).digest()).decode() for script in scripts]
    [policy] = response.headers["Content-Security-Policy"]
    assert dict(directive.split(" ", 1) for directive in policy.split("; ")) == {
        "default-src": "'none'",
        "script-src": " ".join(f"'sha256-{value}'" for value in hashes),
        "style-src": "'unsafe-inline'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def test_the_page_stores_no_token() -> None:
    assert "persistAuthorization: false," in call("docs").body


@pytest.mark.parametrize(
    ("path", "server", "token_url"), [("/prod/docs", "/prod", "/prod/login"), ("/docs", "/", "/login")]
)
def test_the_page_sends_requests_to_its_own_stage(path: str, server: str, token_url: str) -> None:
    event = load_event("docs")
    event["requestContext"]["path"] = path
    [spec] = re.findall(r"^ *spec: (.*),$", invoke(event).body, re.MULTILINE)
    document = json.loads(spec)
    assert document["servers"] == [{"url": server}]
    assert document["components"]["securitySchemes"]["password"]["flows"]["password"]["tokenUrl"] == token_url


def test_the_link_in_the_page_leads_to_the_document() -> None:
    response = call("docs", query=[("format", "json")])
    assert response.headers["Content-Type"] == ["application/json"]
    assert response.json() == call("openapi").json()


@pytest.mark.parametrize("event", ["openapi", "docs"])
def test_the_document_and_the_page_may_be_cached(event: str) -> None:
    response = call(event)
    assert response.headers["Cache-Control"] == ["public, max-age=300"]
    assert response.headers["X-Content-Type-Options"] == ["nosniff"]
