"""common.aws: requests to AWS, and their failures."""

import json
from http.server import ThreadingHTTPServer
from typing import Any

import pytest

from common import aws
from common.aws import AwsError, rds_auth_token, secret_value, secrets_manager
from common.settings import SettingsError
from tests.aws.conftest import Endpoint, Secret
from tests.support.certificates import Authority

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-AbCdEf"


def test_a_secret_is_read(secret: Secret) -> None:
    secret.put("words")
    assert secret_value(secret.arn) == "words"


def test_a_missing_secret_is_named_in_the_error(secret: Secret) -> None:
    with pytest.raises(AwsError, match=r"returned 4\d\d .*ResourceNotFoundException"):
        secret_value(f"{secret.arn[:-6]}AAAAAA-nowhere")


def test_a_request_is_signed_for_the_region_of_the_secret(
    endpoint: type[Endpoint], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert secrets_manager("DescribeSecret", ARN, VersionStage="X") == {}
    [(method, path, headers, body)] = endpoint.requests
    assert (method, path) == ("POST", "/")
    assert json.loads(body) == {"SecretId": ARN, "VersionStage": "X"}
    assert headers["x-amz-target"] == "secretsmanager.DescribeSecret"
    assert "/eu-central-1/secretsmanager/aws4_request" in headers["authorization"]


@pytest.mark.parametrize(
    ("partition", "address"),
    [
        ("aws", "https://secretsmanager.eu-central-1.amazonaws.com"),
        ("aws-us-gov", "https://secretsmanager.eu-central-1.amazonaws.com"),
        ("aws-cn", "https://secretsmanager.eu-central-1.amazonaws.com.cn"),
    ],
)
def test_without_an_endpoint_variable_requests_go_to_aws(
    partition: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = []

    def exchange(_method: str, url: str, _headers: object, _body: bytes) -> dict[str, Any]:
        requests.append(url)
        return {"SecretString": "words"}

    monkeypatch.setattr(aws, "_request_json", exchange)
    assert secret_value(ARN.replace(":aws:", f":{partition}:")) == "words"
    assert requests == [address]


@pytest.mark.parametrize("response", [b"", b"<html>", b"\xff"])
def test_a_response_that_is_not_json_is_an_error(
    response: bytes, endpoint: type[Endpoint], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    endpoint.response = response
    with pytest.raises(AwsError, match=r"^no response from 127\.0\.0\.1:\d+: \w+$"):
        secret_value(ARN)


def test_an_error_response_reveals_only_its_type(
    endpoint: type[Endpoint], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    endpoint.status, endpoint.response = (
        400,
        b'{"__type": "AccessDeniedException", "Message": "secret words"}',
    )
    with pytest.raises(AwsError, match=r"^127\.0\.0\.1:\d+ returned 400 AccessDeniedException$"):
        secret_value(ARN)


def test_a_refused_request_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as closed:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.server_port}")
    with pytest.raises(AwsError, match="ConnectionRefusedError"):
        secret_value(ARN)


def test_the_certificate_of_aws_is_verified(
    server: ThreadingHTTPServer, endpoint: type[Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority()
    server.socket = authority.server_context("localhost").wrap_socket(server.socket, server_side=True)
    endpoint.response = b'{"SecretString": "words"}'
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{server.server_port}")
    with authority.file() as trusted, Authority().file() as other:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(trusted))
        assert secret_value(ARN) == "words"
        monkeypatch.setenv("AWS_CA_BUNDLE", str(other))
        with pytest.raises(AwsError, match="SSLCertVerificationError"):
            secret_value(ARN)
        monkeypatch.setenv("AWS_CA_BUNDLE", "")
        with pytest.raises(AwsError, match="SSLCertVerificationError"):
            secret_value(ARN)
    assert len(endpoint.requests) == 1


def test_a_token_for_the_database_is_signed_with_the_credentials_of_the_role() -> None:
    token = rds_auth_token("proxy.example.com", 5432, "app")
    assert token.startswith("proxy.example.com:5432/?Action=connect&DBUser=app&")
    assert "AKIAIOSFODNN7EXAMPLE" in token
    assert "X-Amz-Security-Token=FwoGZXIvYXdzE%2B%2F%3D" in token
    assert "wJalrXUtnFEMI" not in token


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"])
def test_a_missing_credential_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(SettingsError, match=f"^{name} is not set"):
        rds_auth_token("proxy.example.com", 5432, "app")


def credentials_response(key_id: str, expiration: str) -> bytes:
    return json.dumps(
        {"AccessKeyId": key_id, "SecretAccessKey": "s", "Token": "t", "Expiration": expiration}
    ).encode()


@pytest.mark.parametrize("authorization", ["", "a-token"])
def test_after_a_snapshot_credentials_are_fetched_locally_and_cached(
    authorization: str, endpoint: type[Endpoint], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", authorization)
    endpoint.response = credentials_response("AKIARESTORED", "2999-01-01T00:00:00Z")
    for _ in range(2):
        assert "AKIARESTORED" in rds_auth_token("proxy.example.com", 5432, "app")
    [(method, path, headers, _)] = endpoint.requests
    assert (method, path) == ("GET", "/credentials")
    assert headers.get("authorization", "") == authorization


def test_credentials_that_are_about_to_expire_are_fetched_again(
    endpoint: type[Endpoint], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/credentials")
    endpoint.response = credentials_response("AKIAFIRST", "2020-01-01T00:00:00Z")
    assert "AKIAFIRST" in rds_auth_token("proxy.example.com", 5432, "app")
    endpoint.response = credentials_response("AKIASECOND", "2020-01-01T00:00:00Z")
    assert "AKIASECOND" in rds_auth_token("proxy.example.com", 5432, "app")
