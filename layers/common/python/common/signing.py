"""AWS Signature Version 4, with the standard library.

We do not use botocore, because importing it takes longer than the rest of a cold start.
https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

import hashlib
import hmac
import time
from typing import NamedTuple
from urllib.parse import quote, urlencode

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
# The maximum of RDS. The token is only checked when a connection is opened.
TOKEN_EXPIRES_SECONDS = 15 * 60


class Credentials(NamedTuple):
    """AWS credentials. `token` is the session token of a role; it is empty for an IAM user."""

    key_id: str
    secret: str
    token: str


class Scope(NamedTuple):
    """The credential scope of a signature, and its time as `amz_date()` returns it."""

    service: str
    region: str
    amz_date: str

    def __str__(self) -> str:
        """Return the credential scope in the format of a signed request."""
        return f"{self.amz_date[:8]}/{self.region}/{self.service}/aws4_request"


def amz_date(seconds: float) -> str:
    """Return a Unix time in the format of the header X-Amz-Date."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def sign_headers(
    credentials: Credentials, scope: Scope, headers: dict[str, str], body: bytes, path: str = "/"
) -> dict[str, str]:
    """Return the headers of a signed POST request with this body; names are in lower case.

    `path` has only characters that a URL does not encode.
    """
    extra = {"x-amz-date": scope.amz_date}
    if credentials.token:
        extra["x-amz-security-token"] = credentials.token
    signed = dict(sorted((headers | extra).items()))
    names = ";".join(signed)
    lines = [f"{name}:{value}" for name, value in signed.items()]
    request = "\n".join(["POST", path, "", *lines, "", names, hashlib.sha256(body).hexdigest()])
    signature = _signature(credentials, scope, request)
    authorization = (
        f"{ALGORITHM} Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return signed | {"authorization": authorization}


def sign_rds_token(credentials: Credentials, scope: Scope, *, host: str, port: int, user: str) -> str:
    """Return an IAM token, which RDS accepts as the password of `user`: a signed URL without its scheme.

    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAMDBAuth.Connecting.html
    """
    query = {
        "Action": "connect",
        "DBUser": user,
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{credentials.key_id}/{scope}",
        "X-Amz-Date": scope.amz_date,
        "X-Amz-Expires": str(TOKEN_EXPIRES_SECONDS),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.token:
        query["X-Amz-Security-Token"] = credentials.token
    ordered = urlencode(sorted(query.items()), quote_via=quote, safe="")
    request = "\n".join(["GET", "/", ordered, f"host:{host}:{port}", "", "host", EMPTY_SHA256])
    url = f"{host}:{port}/?{urlencode(query, quote_via=quote, safe='')}"
    return f"{url}&X-Amz-Signature={_signature(credentials, scope, request)}"


def _signature(credentials: Credentials, scope: Scope, request: str) -> str:
    key = f"AWS4{credentials.secret}".encode()
    for part in str(scope).split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join([ALGORITHM, scope.amz_date, str(scope), digest])
    return hmac.digest(key, text.encode(), "sha256").hex()
