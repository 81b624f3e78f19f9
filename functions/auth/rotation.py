"""Renews the keys of access tokens: Secrets Manager calls it in four steps, each of which may come twice.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
"""

import json
import logging
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

from auth.settings import TOKEN_LIFETIME_SECONDS
from common import aws
from common.keys import CACHE_SECONDS, MIN_KEY_BYTES, Key, parse_keys

# Functions go on signing with a key until they look for a new one; twice that, for clocks and slow starts.
MARGIN_SECONDS: Final = 2 * CACHE_SECONDS
# A key's id says when it was made, in UTC.
KID_FORMAT: Final = "%Y%m%dT%H%M%SZ"

log = logging.getLogger(__name__)


class RotationError(Exception):
    """The rotation cannot go on; Secrets Manager reports it and tries again later."""


def handler(event: dict[str, Any], _context: object) -> None:
    """Take one step of a rotation; raises AwsError or RotationError, which leave the keys as they were."""
    arn, version, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    stages = aws.secrets_manager("DescribeSecret", arn)["VersionIdsToStages"]
    if "AWSCURRENT" in stages.get(version, []):
        log.info("%s: this version is in use already", step)
        return
    match step:
        case "createSecret":
            _create(arn, version, version_exists="AWSPENDING" in stages.get(version, []))
        case "setSecret":
            pass  # nobody but the functions, who read the secret, has the keys
        case "testSecret":
            _test(arn, version)
        case "finishSecret":
            [current] = [name for name, labels in stages.items() if "AWSCURRENT" in labels]
            aws.secrets_manager(
                "UpdateSecretVersionStage",
                arn,
                VersionStage="AWSCURRENT",
                MoveToVersionId=version,
                RemoveFromVersionId=current,
            )
            log.info("the new ring is in use")
        case _:
            raise RotationError(f"no such step: {step}")


def renewed_ring(ring: Sequence[Key], *, now: float, lifetime: int) -> list[Key]:
    """Return the ring with a new key at its end, and without the keys that no valid token is signed with.

    `now` is a Unix time; tokens live `lifetime` seconds.
    """
    # A key has signed until its successor was made, and a little longer.
    end = now - lifetime - MARGIN_SECONDS
    kept = [key for key, successor in pairwise(ring) if _made_at(successor) > end]
    kid = datetime.fromtimestamp(now, UTC).strftime(KID_FORMAT)
    return [*kept, ring[-1], Key(kid, secrets.token_urlsafe(MIN_KEY_BYTES))]


def _made_at(key: Key) -> float:
    """Return the Unix time of a key; that of one with another kind of id is unknown, and so it is kept."""
    try:
        return datetime.strptime(key.kid, KID_FORMAT).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return float("inf")


def _create(arn: str, version: str, *, version_exists: bool) -> None:
    if version_exists and _has_value(arn, version):
        return
    ring = renewed_ring(parse_keys(aws.secret_value(arn)), now=time.time(), lifetime=TOKEN_LIFETIME_SECONDS)
    aws.secrets_manager(
        "PutSecretValue",
        arn,
        ClientRequestToken=version,
        SecretString=json.dumps({key.kid: key.secret for key in ring}),
        VersionStages=["AWSPENDING"],
    )


def _has_value(arn: str, version: str) -> bool:
    """Tell whether a pending version holds a ring: Secrets Manager may have made the version without."""
    try:
        aws.secrets_manager("GetSecretValue", arn, VersionId=version, VersionStage="AWSPENDING")
    except aws.AwsError:
        return False
    return True


def _test(arn: str, version: str) -> None:
    pending = aws.secrets_manager("GetSecretValue", arn, VersionId=version, VersionStage="AWSPENDING")
    ring = parse_keys(pending["SecretString"])
    signing = parse_keys(aws.secret_value(arn))[-1]
    if signing not in ring[:-1]:
        raise RotationError("the new ring lacks the key that signs now")
