"""Requests to AWS: IAM tokens for the database, Secrets Manager, and SES.

`http.client` and `common.tls` are imported only when a request is sent, because they slow down a cold start
and many execution environments never send one.
"""

import json
import os
import time
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from common import signing
from common.settings import env_str
from common.signing import Credentials, Scope

# The limit of each wait. A request takes about ten milliseconds, and the whole invocation a few seconds.
TIMEOUT_SECONDS: Final = 2.0
# A mail waits for the connection and for the response: together at most one and a half seconds.
MAIL_TIMEOUT_SECONDS: Final = 0.75
# Credentials are replaced this long before they expire, so that no request is sent with expired ones.
EXPIRY_MARGIN_SECONDS: Final = 5 * 60


class AwsError(Exception):
    """AWS did not respond or returned an error. The message names the kind of error and holds no secret."""


class _CredentialsCache:
    """The credentials of this execution environment, and the Unix time at which to fetch new ones."""

    credentials: Credentials | None = None
    refresh_at = 0.0


def rds_auth_token(host: str, port: int, user: str) -> str:
    """Return an IAM token: a password with which `user` can connect to the database or proxy for 15 minutes.

    Raises AwsError if the credentials to sign it cannot be fetched.
    """
    scope = Scope("rds-db", env_str("AWS_REGION"), signing.amz_date(time.time()))
    return signing.sign_rds_token(_credentials(), scope, host=host, port=port, user=user)


def secret_value(arn: str) -> str:
    """Return the current value of a secret; raises AwsError if it cannot be read."""
    value: str = secrets_manager("GetSecretValue", arn)["SecretString"]
    return value


def secrets_manager(action: str, arn: str, **parameters: object) -> dict[str, Any]:
    """Call an action of Secrets Manager on a secret and return the response; raises AwsError if it fails.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html
    """
    _, partition, _, region, *_ = arn.split(":")
    suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    endpoint = (
        os.environ.get("AWS_ENDPOINT_URL_SECRETS_MANAGER")
        or os.environ.get("AWS_ENDPOINT_URL")
        or f"https://secretsmanager.{region}.{suffix}"
    )
    body = json.dumps({"SecretId": arn} | parameters).encode()
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": urlsplit(endpoint).netloc,
        "x-amz-target": f"secretsmanager.{action}",
    }
    scope = Scope("secretsmanager", region, signing.amz_date(time.time()))
    return _request_json("POST", endpoint, signing.sign_headers(_credentials(), scope, headers, body), body)


def send_email(request: dict[str, Any]) -> None:
    """Let SES send a mail; raises AwsError if it does not accept it.

    https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
    """
    region = env_str("AWS_REGION")
    endpoint = (
        os.environ.get("AWS_ENDPOINT_URL_SESV2")
        or os.environ.get("AWS_ENDPOINT_URL")
        or f"https://email.{region}.amazonaws.com"
    )
    path = "/v2/email/outbound-emails"
    body = json.dumps(request).encode()
    headers = {"content-type": "application/json", "host": urlsplit(endpoint).netloc}
    scope = Scope("ses", region, signing.amz_date(time.time()))
    signed = signing.sign_headers(_credentials(), scope, headers, body, path)
    _request_json("POST", f"{endpoint}{path}", signed, body, MAIL_TIMEOUT_SECONDS)


def _credentials() -> Credentials:
    """Return the credentials of the function's role.

    They are environment variables, except after a start from a snapshot: credentials in a snapshot would
    expire, so the function fetches them from an address on its own host.
    https://docs.aws.amazon.com/lambda/latest/dg/snapstart-activate.html#snapstart-credentials
    """
    url = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if not url:
        return Credentials(
            env_str("AWS_ACCESS_KEY_ID"),
            env_str("AWS_SECRET_ACCESS_KEY"),
            os.environ.get("AWS_SESSION_TOKEN", ""),
        )
    if _CredentialsCache.credentials is None or time.time() > _CredentialsCache.refresh_at:
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        document = _request_json("GET", url, {"authorization": token} if token else {}, b"")
        _CredentialsCache.credentials = Credentials(
            document["AccessKeyId"], document["SecretAccessKey"], document["Token"]
        )
        _CredentialsCache.refresh_at = (
            datetime.fromisoformat(document["Expiration"]).timestamp() - EXPIRY_MARGIN_SECONDS
        )
    return _CredentialsCache.credentials


def _request_json(
    method: str, url: str, headers: dict[str, str], body: bytes, timeout: float = TIMEOUT_SECONDS
) -> dict[str, Any]:
    from http.client import HTTPConnection, HTTPException, HTTPSConnection  # noqa: PLC0415  # slow

    parts = urlsplit(url)
    connection: HTTPConnection
    if parts.scheme == "https":
        from common.tls import tls_context  # noqa: PLC0415  # imports ssl

        # botocore uses the same variable. If it is unset, we trust the system's authorities.
        context = tls_context(os.environ.get("AWS_CA_BUNDLE") or None, "AWS_CA_BUNDLE")
        connection = HTTPSConnection(parts.netloc, timeout=timeout, context=context)
    else:
        connection = HTTPConnection(parts.netloc, timeout=timeout)
    try:
        connection.request(method, f"{parts.path or '/'}", body, headers)
        response = connection.getresponse()
        document = dict(json.loads(response.read()))
    except (OSError, HTTPException, ValueError, TypeError) as error:
        raise AwsError(f"no response from {parts.netloc}: {type(error).__name__}") from None
    finally:
        connection.close()
    if response.status != 200:  # noqa: PLR2004  # HTTP 200 OK
        # Services whose requests have paths name the error in a header.
        kind = document.get("__type") or response.headers.get("x-amzn-errortype", "").partition(":")[0]
        raise AwsError(f"{parts.netloc} returned {response.status} {kind}")
    return document
