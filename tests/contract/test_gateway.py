"""The gateway: authentication, and its own errors."""

import gzip
import json
import os
import time
from urllib.parse import urlsplit

import httpx
import jwt
import pytest

from common.settings import LOOPBACK_HOSTS
from tests.contract.client import (
    PASSWORD,
    Account,
    assert_detail,
    assert_invalid,
    assert_unauthorized,
    new_post,
)

PROTECTED = [
    ("GET", "/posts"),
    ("POST", "/posts"),
    ("GET", "/posts/1"),
    ("PUT", "/posts/1"),
    ("DELETE", "/posts/1"),
    ("POST", "/vote"),
]
WITH_BODY = [("POST", "/users"), ("POST", "/posts"), ("PUT", "/posts/1"), ("POST", "/vote")]
BODY = {"title": "t", "content": "c", "post_id": 1, "dir": 1}


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_protected_routes_require_a_token(client: httpx.Client, method: str, path: str, slash: str) -> None:
    assert_unauthorized(client.request(method, f"{path}{slash}", json=BODY))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer nonsense",
        "Bearer a.b.c",
        "Basic YWRhOnNlY3JldA==",
        "Bearer " + "a" * 5_000,
    ],
)
@pytest.mark.parametrize(("method", "path"), PROTECTED[:2])
def test_protected_routes_require_a_valid_token(
    client: httpx.Client, method: str, path: str, header: str
) -> None:
    assert_unauthorized(client.request(method, path, json=BODY, headers={"Authorization": header}))


def test_a_modified_token_is_refused(client: httpx.Client, ada: Account) -> None:
    head, payload, signature = ada.token.split(".")
    for token in (f"{head}.{payload}.{signature[::-1]}", f"{head}.{payload}.", f"{head}.{payload}"):
        assert_unauthorized(client.get("/posts", headers={"Authorization": f"Bearer {token}"}))


def test_a_token_signed_with_a_foreign_key_is_refused(client: httpx.Client, ada: Account) -> None:
    header = jwt.get_unverified_header(ada.token)
    claims = jwt.decode(ada.token, options={"verify_signature": False})
    for key, algorithm in (("x" * 64, "HS256"), ("x" * 64, "HS512"), ("", "none")):
        token = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": header["kid"]})
        assert_unauthorized(client.get("/posts", headers={"Authorization": f"Bearer {token}"}))


def test_an_expired_token_is_refused(client: httpx.Client, ada: Account, *, is_own_run: bool) -> None:
    if not is_own_run:
        pytest.skip("the keys are not known")
    kid, key = json.loads(os.environ["JWT_KEYS"]).popitem()
    claims = jwt.decode(ada.token, options={"verify_signature": False})
    for expiry, status in ((time.time() - 1, 401), (time.time() + 60, 200)):
        token = jwt.encode(claims | {"exp": int(expiry)}, key, algorithm="HS256", headers={"kid": kid})
        assert client.get("/posts", headers={"Authorization": f"Bearer {token}"}).status_code == status


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
def test_the_scheme_is_case_insensitive(client: httpx.Client, ada: Account, scheme: str) -> None:
    response = client.get("/posts", headers={"Authorization": f"{scheme} {ada.token}"})
    assert response.status_code == 200


def test_the_token_of_a_deleted_account_is_refused(
    client: httpx.Client, ada: Account, deleted: Account
) -> None:
    path = f"/posts/{new_post(client, ada)['id']}"
    for method, target in [
        (method, path if method in {"PUT", "DELETE"} else route) for method, route in PROTECTED
    ]:
        assert_unauthorized(client.request(method, target, json=BODY, headers=deleted.headers))
    assert client.get(path, headers=ada.headers).status_code == 200


@pytest.mark.parametrize("path", ["/nothing", "/users/1/posts/2", "/posts/1/votes", "/login/now", "/vote/1"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_path(client: httpx.Client, method: str, path: str, ada: Account) -> None:
    assert_detail(client.request(method, path, headers=ada.headers), 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/login"),
        ("GET", "/vote"),
        ("PUT", "/posts"),
        ("DELETE", "/users/1"),
        ("POST", "/posts/1"),
        ("PATCH", "/posts/1"),
        ("POST", "/"),
    ],
)
def test_an_unknown_method(client: httpx.Client, method: str, path: str, ada: Account) -> None:
    response = client.request(method, path, headers=ada.headers)
    assert response.status_code in {404, 405}
    assert_detail(response, response.status_code)


@pytest.fixture
def _no_emulator(base_url: str, *, is_own_run: bool) -> None:
    """Skip a test of the gateway itself if the API runs on an emulator of AWS on this machine."""
    host = str(urlsplit(base_url).hostname)
    if not is_own_run and (host in LOOPBACK_HOSTS or host.endswith(".localhost")):
        pytest.skip("the gateway of this API is neither that of AWS nor that of the local run")


@pytest.mark.usefixtures("_no_emulator")
def test_a_body_that_is_too_large(client: httpx.Client, ada: Account) -> None:
    # The gateway's limit is 10 MB, and Lambda's is 6 MB.
    for megabytes in (7, 11):
        body = {"title": "t", "content": "c" * megabytes * 1_000_000}
        assert_detail(client.post("/posts", json=body, headers=ada.headers), 413)


@pytest.mark.usefixtures("_no_emulator")
def test_a_compressed_body(client: httpx.Client, ada: Account) -> None:
    headers = ada.headers | {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    body = json.dumps({"title": "Compressed", "content": "c" * 10_000}).encode()
    response = client.post("/posts", content=gzip.compress(body), headers=headers)
    assert response.status_code == 201
    assert response.json()["title"] == "Compressed"
    assert_detail(client.post("/posts", content=body, headers=headers), 415)
    # The limit is for the decompressed body, which can be large even if the request is small.
    assert_detail(client.post("/posts", content=gzip.compress(b" " * 11_000_000), headers=headers), 413)


@pytest.mark.usefixtures("_no_emulator")
def test_a_large_response_is_compressed(client: httpx.Client) -> None:
    document = client.get("/openapi.json", headers={"Accept-Encoding": "identity"})
    compressed = client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in document.headers
    assert compressed.headers["content-encoding"] == "gzip"
    assert compressed.json() == document.json()
    assert compressed.num_bytes_downloaded < len(document.content) / 4
    welcome = client.get("/", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in welcome.headers


def test_a_large_body_is_accepted(client: httpx.Client, ada: Account) -> None:
    post = new_post(client, ada, title="Large", content="c" * 50_000, ignored="c" * 1_000_000)
    assert len(client.get(f"/posts/{post['id']}", headers=ada.headers).json()["content"]) == 50_000


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"7", b"null", b'"text"', b"\0", b"[" * 100_000, b'{"title": ' + b"9" * 5_000 + b"}"],
)
@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_a_body_other_than_a_json_object(
    client: httpx.Client, ada: Account, method: str, path: str, body: bytes
) -> None:
    headers = ada.headers | {"Content-Type": "application/json"}
    assert_invalid(client.request(method, path, content=body, headers=headers), "body")


@pytest.mark.parametrize("text", [b'"\\ud800"', b'"\xff\xfe"'])
def test_invalid_unicode_never_causes_an_internal_error(
    client: httpx.Client, ada: Account, text: bytes
) -> None:
    # The gateway decides what becomes of bytes that are not UTF-8.
    body = b'{"title": "t", "content": ' + text + b"}"
    headers = ada.headers | {"Content-Type": "application/json"}
    assert client.post("/posts", content=body, headers=headers).status_code in {201, 400, 422}


@pytest.mark.parametrize("path", ["/users", "/login"])
def test_a_body_with_an_unsupported_content_type(client: httpx.Client, path: str) -> None:
    response = client.post(path, content=PASSWORD.encode(), headers={"Content-Type": "text/plain"})
    assert_invalid(response, "body")
    assert PASSWORD not in response.text


def test_the_welcome_leads_to_the_documentation(client: httpx.Client, slash: str) -> None:
    welcome = client.get("/")
    assert welcome.status_code == 200
    assert "/docs" in welcome.json()["message"]
    page = client.get(f"/docs{slash}")
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    document = client.get(f"/openapi.json{slash}")
    assert document.status_code == 200
    assert document.json()["paths"].keys() >= {"/posts", "/vote", "/login", "/users"}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/posts"), ("POST", "/users"), ("GET", "/users/0"), ("GET", "/nothing")],
)
@pytest.mark.parametrize("is_known", [True, False])
def test_every_response_has_security_headers(
    client: httpx.Client, ada: Account, method: str, path: str, *, is_known: bool
) -> None:
    response = client.request(method, path, headers=ada.headers if is_known else {})
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Strict-Transport-Security"].startswith("max-age=")


@pytest.mark.parametrize("path", ["/posts", "/posts/1", "/users", "/login", "/vote"])
def test_a_preflight_response_names_the_allowed_origin(client: httpx.Client, path: str) -> None:
    headers = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    response = client.options(path, headers=headers)
    assert response.status_code in {200, 204}
    origin = response.headers["Access-Control-Allow-Origin"]
    assert origin == "*" or origin.startswith("http")
    assert "authorization" in response.headers["Access-Control-Allow-Headers"].lower()
    # Without this header, a page could not read an error and would take it for a network failure.
    assert client.get("/nothing").headers["Access-Control-Allow-Origin"] == origin
    assert client.get("/posts").headers["Access-Control-Allow-Origin"] == origin
