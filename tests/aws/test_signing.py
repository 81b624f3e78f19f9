"""common.signing: the same signatures as botocore."""

from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import botocore.auth  # type: ignore[import-untyped]
import botocore.awsrequest  # type: ignore[import-untyped]
import botocore.credentials  # type: ignore[import-untyped]
import pytest

from common.signing import Credentials, Scope, amz_date, sign_headers, sign_rds_token

NOW = datetime(2026, 11, 22, 8, 5, 9, tzinfo=UTC)
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ROLE = Credentials(KEY, SECRET, "FwoGZXIvYXdzE+/= &")
USER = Credentials(KEY, SECRET, "")


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make botocore sign with our time."""
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None))


def scope(service: str) -> Scope:
    return Scope(service, "eu-central-1", amz_date(NOW.timestamp()))


def of_botocore(credentials: Credentials) -> botocore.credentials.Credentials:
    return botocore.credentials.Credentials(KEY, SECRET, credentials.token or None)


@pytest.mark.parametrize("credentials", [ROLE, USER])
@pytest.mark.parametrize("body", [b"", b'{"SecretId": "arn"}', "🔑".encode()])
@pytest.mark.parametrize("path", ["/", "/v2/email/outbound-emails"])
def test_headers_are_signed_like_those_of_botocore(credentials: Credentials, body: bytes, path: str) -> None:
    headers = {
        "host": "example.com:8443",
        "x-amz-target": "secretsmanager.GetSecretValue",
        "content-type": "a/b",
    }
    request = botocore.awsrequest.AWSRequest("POST", f"https://example.com:8443{path}", headers, body)
    botocore.auth.SigV4Auth(of_botocore(credentials), "secretsmanager", "eu-central-1").add_auth(request)
    signed = sign_headers(credentials, scope("secretsmanager"), headers, body, path)
    assert signed == {name.lower(): value for name, value in request.headers.items()}


@pytest.mark.parametrize("credentials", [ROLE, USER])
@pytest.mark.parametrize("user", ["app", "the app+/=&"])
def test_an_iam_token_is_like_that_of_botocore(credentials: Credentials, user: str) -> None:
    request = botocore.awsrequest.AWSRequest(
        "GET", "https://proxy.example.com:5432/", params={"Action": "connect", "DBUser": user}
    )
    signer = botocore.auth.SigV4QueryAuth(of_botocore(credentials), "rds-db", "eu-central-1", expires=900)
    signer.add_auth(request)
    expected = urlsplit(request.url)
    token = sign_rds_token(credentials, scope("rds-db"), host="proxy.example.com", port=5432, user=user)
    actual = urlsplit(f"https://{token}")
    assert (actual.netloc, actual.path) == (expected.netloc, expected.path)
    assert sorted(parse_qsl(actual.query)) == sorted(parse_qsl(expected.query))
