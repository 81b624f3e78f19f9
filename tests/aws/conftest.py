"""Secrets Manager, and credentials for it."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from moto.server import ThreadedMotoServer

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
