"""The gateway as a client sees it, with real functions."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.gateway import application as module
from tests.local.sample import RESPONSES, TEMPLATE, gateway_for, serving
from tests.support.processes import alive

GOOD = {"Authorization": "good"}

Steps = Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]]


def serve(project: Path, steps: Steps, **variables: str) -> None:
    async def run() -> None:
        async with serving(project, variables) as client:
            await steps(client)

    asyncio.run(run())


def test_an_open_path(project: Path) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        for path in ("/open", "/open/"):
            response = await client.put(path, params={"a": "1"}, content="é")
            assert response.status_code == 200
            event = response.json()
            assert (event["path"], event["httpMethod"], event["body"]) == (path, "PUT", "é")
            assert "authorizer" not in event["requestContext"]
            assert response.headers["x-amzn-requestid"] == event["requestContext"]["requestId"]
            assert response.headers["content-type"] == "application/json"

    serve(project, steps)


def test_variables_reach_the_functions_that_declare_them(project: Path) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        variables = (await client.get("/open", params={"do": "environment"})).json()["variables"]
        assert variables["DATABASE_URL"] == "postgresql://ours/social"
        assert "JWT_KEYS" not in variables

    serve(project, steps, DATABASE_URL="postgresql://ours/social", JWT_KEYS="{}")


def test_a_protected_path(project: Path) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        response = await client.get("/things/a%2Fb", headers=GOOD)
        event = response.json()
        assert event["pathParameters"] == {"id": "a/b"}
        authorizer = event["requestContext"]["authorizer"]
        assert isinstance(authorizer.pop("integrationLatency"), int)
        assert authorizer == {"principalId": "7", "user_id": "7", "calls": "1", "ok": "true"}
        # The policy is cached and covers the other methods.
        response = await client.post("/things", headers=GOOD)
        assert response.json()["requestContext"]["authorizer"]["calls"] == "1"
        response = await client.post("/things", headers={"Authorization": "good too"})
        assert response.json()["requestContext"]["authorizer"]["calls"] == "2"

    serve(project, steps)


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": ""}, {"Authorization": "bad"}, {"Authorization": "nobody"}]
)
def test_a_protected_path_without_a_valid_token(project: Path, headers: dict[str, str]) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        response = await client.get("/things/7", headers=headers)
        assert response.status_code == 401
        assert response.json() == {"detail": "Not authenticated"}
        assert response.headers["www-authenticate"] == "Bearer"

    serve(project, steps)


@pytest.mark.parametrize("token", ["broken", "nonsense"])
def test_an_authorizer_that_fails(project: Path, token: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        response = await client.get("/things/7", headers={"Authorization": token})
        assert response.status_code == 500
        assert response.json() == {"detail": "Internal error"}

    serve(project, steps)
    assert "AUTHORIZER_CONFIGURATION_ERROR: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nope"), ("PATCH", "/things"), ("HEAD", "/things"), ("GET", "//"), ("GET", "/open//")],
)
def test_an_undeclared_route(project: Path, method: str, path: str) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        # A raw path, because httpx takes two slashes as the start of a host.
        response = await client.send(httpx.Request(method, httpx.URL("http://test", raw_path=path.encode())))
        assert response.status_code == 404
        assert response.content in {b'{"detail": "Not Found"}', b""}  # no body on HEAD
        assert response.headers["access-control-allow-origin"] == "https://example.com"

    serve(project, steps)


def test_a_path_that_the_api_does_not_have_may_be_a_page(project: Path) -> None:
    async def steps() -> None:
        gateway = gateway_for(project, {}, {"/_page": "<p>é", "/things": "<p>no"}.get)
        transport = httpx.ASGITransport(app=gateway)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            page = await client.get("/_page?x=1")
            assert (page.status_code, page.text) == (200, "<p>é")
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            assert (await client.post("/_page")).status_code == 404
            assert (await client.get("/_other")).status_code == 404
            # A path of the API is never a page.
            assert (await client.post("/things")).status_code == 401
        await gateway.close()

    asyncio.run(steps())


def test_a_preflight_needs_no_token_and_no_function(project: Path) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        response = await client.options("/things", headers={"Origin": "https://example.com"})
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "https://example.com"
        assert response.headers["access-control-allow-methods"] == "GET,POST"
        assert response.headers["access-control-max-age"] == "600"
        assert response.headers["content-type"] == "application/json"

    serve(project, steps)


@pytest.mark.parametrize(
    ("query", "status", "logged"),
    [
        ({"do": "raise"}, 502, "Echo: the handler is broken"),
        ({"do": "exit"}, 502, "Echo: its process ended with exit code 3"),
        ({"do": "large"}, 502, "bytes is too large"),
        ({"do": "not JSON"}, 502, "not JSON serializable"),
        ({"do": "sleep", "seconds": "30"}, 504, "Echo: it timed out after 1 s"),
    ],
)
def test_a_function_that_fails(
    project: Path, query: dict[str, str], status: int, logged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        response = await client.get("/open", params=query)
        assert response.status_code == status
        assert response.json() == {"detail": "Internal error"}
        assert (await client.get("/open")).status_code == 200  # the next request succeeds

    serve(project, steps)
    assert logged in capsys.readouterr().err


def test_malformed_results(project: Path) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        for result in ("nonsense", {"statusCode": 99}, {"statusCode": 200, "headers": {"a": "1\n2"}}):
            response = await client.post("/open", params={"do": "result"}, json=result)
            assert response.status_code == 502
            assert response.json() == {"detail": "Internal error"}

    serve(project, steps)


def test_text_beyond_ascii_and_a_lone_surrogate(project: Path) -> None:
    handler = project / "functions/echo/handler.py"
    handler.write_text("def handler(*_): return {'statusCode': 200, 'body': 'é\\U0001f600\\ud800'}\n")

    async def steps(client: httpx.AsyncClient) -> None:
        assert (await client.get("/open")).content == "é😀?".encode()

    serve(project, steps)


def test_several_headers_of_one_name_and_an_empty_body(project: Path) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        result = {"statusCode": 204, "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]}, "body": "ignored"}
        response = await client.post("/open", params={"do": "result"}, json=result)
        assert response.status_code == 204
        assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
        assert response.content == b""
        assert "content-length" not in response.headers

    serve(project, steps)


def test_a_function_that_cannot_be_loaded_recovers_with_the_next_edit(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    handler = project / "functions/echo/handler.py"
    good = handler.read_text()
    handler.write_text("import missing")

    async def steps(client: httpx.AsyncClient) -> None:
        for _ in range(2):
            response = await client.get("/open")
            assert response.status_code == 502
            assert response.json() == {"detail": "Internal error"}
        handler.write_text(good)
        assert (await client.get("/open")).status_code == 200

    serve(project, steps)
    lines = capfd.readouterr().err.splitlines()
    assert "Echo cannot be loaded: ModuleNotFoundError: No module named 'missing'" in lines
    # The first frame is that of the function, not one of the frames of the import.
    assert f'File "{handler}", line 1' in lines[lines.index("Traceback (most recent call last):") + 1]


def test_a_body_that_is_too_large(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_BODY_BYTES", 1000)
    monkeypatch.setattr(module, "_MAX_PAYLOAD_BYTES", 10_000)
    read = 0

    async def chunks(number: int) -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(number):
            read += 1
            yield b"x" * 100

    async def steps(client: httpx.AsyncClient) -> None:
        assert (await client.post("/open", content=b"x" * 1000)).status_code == 200
        response = await client.post("/open", content=b"x" * 1001)
        assert response.status_code == 413
        assert response.json() == {"detail": "Request Too Long"}
        assert (await client.post("/open", content=chunks(10))).status_code == 200
        assert (await client.post("/open", content=chunks(1000))).status_code == 413
        assert read < 30  # the gateway stopped reading
        # The limit is for the event: each character is one byte in the body, and two or six bytes in JSON.
        monkeypatch.setattr(module, "_MAX_PAYLOAD_BYTES", 5000)
        assert (await client.post("/open", content=b"\n" * 1000)).status_code == 200
        assert (await client.post("/open", content=b"\0" * 1000)).status_code == 413

    serve(project, steps)


def test_a_compressed_body_is_decompressed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_BODY_BYTES", 1000)
    headers = {"Content-Encoding": "gzip"}

    async def steps(client: httpx.AsyncClient) -> None:
        event = (await client.post("/open", content=gzip.compress(b"text"), headers=headers)).json()
        # API Gateway leaves the header in the event.
        assert (event["body"], event["headers"]["Content-Encoding"]) == ("text", "gzip")
        form = headers | {"Content-Type": "multipart/form-data; boundary=b"}
        event = (await client.post("/open", content=gzip.compress(b"text"), headers=form)).json()
        assert (event["body"], event["isBase64Encoded"]) == ("dGV4dA==", True)
        bomb = gzip.compress(b"0" * 1001)
        assert (await client.post("/open", content=bomb, headers=headers)).status_code == 413
        response = await client.post("/open", content=b"text", headers=headers)
        assert (response.status_code, response.json()) == (415, {"detail": "Unsupported Media Type"})

    serve(project, steps)


def test_a_response_is_compressed(project: Path) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        for coding in ("gzip", "deflate"):
            response = await client.get("/open", headers={"Accept-Encoding": coding})
            assert response.headers["content-encoding"] == coding
            assert int(response.headers["content-length"]) == response.num_bytes_downloaded
            assert response.json()["path"] == "/open"
        response = await client.get("/open", headers={"Accept-Encoding": "br"})
        assert "content-encoding" not in response.headers
        response = await client.post("/open?do=result", json={"statusCode": 200, "body": "x" * 199})
        assert "content-encoding" not in response.headers

    serve(project, steps)


def test_a_client_that_disconnects(project: Path) -> None:
    async def run() -> None:
        gateway = gateway_for(project, {})
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:  # noqa: ANN401 - a message of ASGI
            sent.append(message)

        scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "raw_path": b"/open",
            "query_string": b"",
            "headers": [],
            "client": None,
            "server": None,
        }
        await gateway(scope, receive, send)
        await gateway.close()
        assert not sent

    asyncio.run(run())


def test_more_requests_than_environments(project: Path) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        responses = await asyncio.gather(
            *(client.get("/open", params={"do": "environment"}) for _ in range(40))
        )
        assert {response.status_code for response in responses} == {200}
        assert len({response.json()["pid"] for response in responses}) <= 10

    serve(project, steps)


def test_an_error_of_the_gateway_itself(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr(module, "proxy_event")

    async def steps(client: httpx.AsyncClient) -> None:
        response = await client.get("/open")
        assert response.status_code == 502
        assert response.json() == {"detail": "Internal error"}

    serve(project, steps)
    assert "NameError" in capsys.readouterr().err


def test_an_edit_takes_effect_with_the_next_request(project: Path) -> None:
    handler, layer = (
        project / "functions/echo/handler.py",
        project / "layers/common/python/common/responses.py",
    )

    async def steps(client: httpx.AsyncClient) -> None:
        for number in range(3):
            handler.write_text(f"def handler(*_): return {{'statusCode': 200, 'body': '{number}'}}\n")
            assert (await client.get("/open")).text == str(number)
        handler.write_text("from common.responses import ok\ndef handler(*_): return ok(1)\n")
        assert (await client.get("/open")).text == "1"
        layer.write_text(RESPONSES.replace("json.dumps(value)", "'edited'"))
        assert (await client.get("/open")).text == "edited"

    serve(project, steps)


def test_an_edit_restarts_only_the_functions_that_have_the_file(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        async def calls() -> list[str]:
            """Return what a request reloads and starts, and how often the authorizer was invoked."""
            capsys.readouterr()
            response = await client.get("/things/7", headers=GOOD)
            count = response.json()["requestContext"]["authorizer"]["calls"]
            *reloaded, access = capsys.readouterr().err.splitlines()
            return [*reloaded, access.split(" ms ")[1], f"{count} calls"]

        assert await calls() == ["Echo cold", "1 calls"]
        handler, keeper = project / "functions/echo/handler.py", project / "functions/gate/keeper.py"
        handler.write_text(handler.read_text() + "\n")
        # The policy is no longer cached, but the authorizer's process, which counts, is the same.
        assert await calls() == ["reloaded Echo", "Echo cold", "2 calls"]
        keeper.write_text(keeper.read_text() + "\n")
        assert await calls() == ["reloaded Gatekeeper", "Echo warm", "1 calls"]
        layer = project / "layers/common/python/common/responses.py"
        layer.write_text(layer.read_text() + "\n")
        assert await calls() == ["reloaded Echo, Gatekeeper", "Echo cold", "1 calls"]
        template = project / "template.yaml"
        template.write_text(TEMPLATE.replace("LIMIT: 5", "LIMIT: 6"))
        assert await calls() == ["reloaded template.yaml", "reloaded Gatekeeper", "Echo warm", "1 calls"]

    serve(project, steps)


def test_a_removed_function_is_not_kept(project: Path) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        pid = (await client.get("/open", params={"do": "environment"})).json()["pid"]
        template = project / "template.yaml"
        template.write_text(TEMPLATE.replace("  Echo:\n", "  Renamed:\n"))
        assert (await client.get("/open")).status_code == 200
        assert not alive(pid)

    serve(project, steps)


def test_an_edit_lets_running_requests_finish(project: Path) -> None:
    handler = project / "functions/echo/handler.py"

    async def steps(client: httpx.AsyncClient) -> None:
        await client.get("/open")
        running = asyncio.create_task(client.get("/open", params={"do": "sleep", "seconds": "0.3"}))
        await asyncio.sleep(0.1)
        handler.write_text("def handler(*_): return {'statusCode': 200, 'body': 'new'}\n")
        assert (await client.get("/open")).text == "new"
        assert (await running).json() == "slept"

    serve(project, steps)


def test_an_edited_authorizer_is_invoked_again(project: Path) -> None:
    keeper = project / "functions/gate/keeper.py"

    async def steps(client: httpx.AsyncClient) -> None:
        assert (await client.get("/things/7", headers=GOOD)).status_code == 200
        keeper.write_text(keeper.read_text().replace('"Allow" if', '"Deny" if'))
        assert (await client.get("/things/7", headers=GOOD)).status_code == 401

    serve(project, steps)


def test_an_edited_template_takes_effect_and_an_invalid_one_does_not(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = project / "template.yaml"

    async def steps(client: httpx.AsyncClient) -> None:
        assert (await client.get("/renamed")).status_code == 404
        template.write_text(TEMPLATE.replace("Path: /open", "Path: /renamed"))
        assert (await client.get("/renamed")).status_code == 200
        assert (await client.get("/open")).status_code == 404
        template.write_text("broken: [")
        assert (await client.get("/renamed")).status_code == 200
        template.write_text(TEMPLATE)
        assert (await client.get("/open")).status_code == 200

    serve(project, steps)
    assert "still serving the previous template: cannot read" in capsys.readouterr().err


def test_each_request_is_one_line_of_the_access_log(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        await client.get("/open?secret=1")
        await client.get("/open")
        await client.get("/nope")

    serve(project, steps)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" ms ")[1] for line in lines] == [
        "Echo cold",
        "Echo warm",
        "gateway: template.yaml has no route for it",
    ]
    assert lines[0].startswith("GET /open 200 ")
    assert lines[2].startswith("GET /nope 404 ")


def test_an_event_is_valid_json(project: Path) -> None:
    async def steps(client: httpx.AsyncClient) -> None:
        body = bytes(range(256))
        response = await client.post("/open", content=body, headers={b"X-Odd": b"caf\xe9"})
        assert json.loads(response.text)["body"] == body.decode(errors="replace")

    serve(project, steps)
