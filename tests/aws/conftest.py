"""AWS services, endpoints that fail, and credentials for them."""

import json
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import boto3  # type: ignore[import-untyped]
import pytest
from moto.server import ThreadedMotoServer

from common import aws

REGION = "eu-central-1"


class Secret:
    """A secret with a key ring, for access by tests."""

    def __init__(self, url: str, ring: dict[str, str]) -> None:
        self.client: Any = boto3.client("secretsmanager", region_name=REGION, endpoint_url=url)
        text = json.dumps(ring)
        self.arn: str = self.client.create_secret(Name=uuid.uuid4().hex, SecretString=text)["ARN"]

    def put(self, ring: dict[str, str] | str) -> None:
        """Store a ring, or another text, in the secret."""
        text = ring if isinstance(ring, str) else json.dumps(ring)
        self.client.put_secret_value(SecretId=self.arn, SecretString=text)

    def ring(self, stage: str = "AWSCURRENT") -> dict[str, str]:
        """Return the ring with a staging label."""
        value = self.client.get_secret_value(SecretId=self.arn, VersionStage=stage)
        found: dict[str, str] = json.loads(value["SecretString"])
        return found


class Endpoint(BaseHTTPRequestHandler):
    """Sends a fixed response and records the requests."""

    status = 200
    response: ClassVar[bytes] = b"{}"
    error_type = ""
    requests: ClassVar[list[tuple[str, str, dict[str, str], bytes]]] = []

    def do_GET(self) -> None:
        """Respond."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.requests.append((self.command, self.path, headers, body))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.response)))
        self.send_header("x-amzn-ErrorType", self.error_type)
        self.end_headers()
        self.wfile.write(self.response)

    do_POST = do_GET  # noqa: N815  # named by http.server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401  # as in the base class
        """Log nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """Return a running server with an endpoint for this test only."""
    own = type("OwnEndpoint", (Endpoint,), {"requests": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), own) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def endpoint(server: ThreadingHTTPServer) -> type[Endpoint]:
    """Return the endpoint of the server."""
    own: type[Endpoint] = server.RequestHandlerClass  # type: ignore[assignment]  # made above
    return own


@pytest.fixture
def url(server: ThreadingHTTPServer) -> str:
    """Return the URL of the server."""
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(autouse=True)
def _no_credentials_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without cached credentials, like a new execution environment."""
    monkeypatch.setattr(
        aws, "_CredentialsCache", type("_CredentialsCache", (), {"credentials": None, "refresh_at": 0.0})
    )


@pytest.fixture(autouse=True)
def _role(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the credentials of a role in environment variables, as Lambda does."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "FwoGZXIvYXdzE+/=")
    monkeypatch.setenv("AWS_REGION", REGION)
    for name in ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """Return the URL of moto."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def secret(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Secret:
    """Return a secret in moto's Secrets Manager."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto_url)
    return Secret(moto_url, {})
