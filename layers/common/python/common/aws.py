"""What the functions ask of AWS: a token for the database, and Secrets Manager.

http.client and ssl are imported where a request is made: a start must not wait for what it may never use.
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

# A request takes some ten milliseconds; the function that waits for it has a few seconds in all.
TIMEOUT_SECONDS: Final = 2.0
# Credentials that are about to expire are fetched anew before a request could be late with them.
EXPIRY_MARGIN_SECONDS: Final = 5 * 60


class AwsError(Exception):
    """AWS did not answer, or refused; the message names the kind of error, never a secret."""


class _CredentialsCache:
    """The credentials of this execution environment, and until when (Unix time) they are good."""

    credentials: Credentials | None = None
    refresh_at = 0.0


def rds_auth_token(host: str, port: int, user: str) -> str:
    """Return a token that lets `user` connect to the database or proxy at an address, within 15 minutes.

    Raises AwsError when there are no credentials to sign it with.
    """
    scope = Scope("rds-db", env_str("AWS_REGION"), signing.amz_date(time.time()))
    return signing.rds_auth_token(_credentials(), scope, host=host, port=port, user=user)


def secret_value(arn: str) -> str:
    """Return the current value of the secret; AwsError when it cannot be had."""
    value: str = secrets_manager("GetSecretValue", arn)["SecretString"]
    return value


def secrets_manager(action: str, arn: str, **parameters: object) -> dict[str, Any]:
    """Call an action of Secrets Manager on the secret and return its answer; AwsError when it fails.

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


def _credentials() -> Credentials:
    """Return the credentials of the function's role.

    A function that was restored from a snapshot has none in its environment, for they would have expired
    there; it asks an address on its own machine.
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


def _request_json(method: str, url: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    from http.client import HTTPConnection, HTTPException, HTTPSConnection  # noqa: PLC0415  # see above

    parts = urlsplit(url)
    connection: HTTPConnection
    if parts.scheme == "https":
        import ssl  # noqa: PLC0415  # see above

        # The name is botocore's too. Unset, the system's authorities are trusted.
        context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or None)
        connection = HTTPSConnection(parts.netloc, timeout=TIMEOUT_SECONDS, context=context)
    else:
        connection = HTTPConnection(parts.netloc, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, f"{parts.path or '/'}", body, headers)
        response = connection.getresponse()
        document = json.loads(response.read())
    except (OSError, HTTPException, ValueError) as error:
        raise AwsError(f"no answer from {parts.netloc}: {type(error).__name__}") from None
    finally:
        connection.close()
    if response.status != 200:  # noqa: PLR2004  # HTTP's
        raise AwsError(f"{parts.netloc} refused: {response.status} {document.get('__type', '')}")
    result: dict[str, Any] = document
    return result
