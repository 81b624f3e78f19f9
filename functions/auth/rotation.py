"""The rotation function of the key ring. Secrets Manager calls it in four steps, and may repeat each step.

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

# Functions sign with a ring that is up to CACHE_SECONDS old. Double that, because clocks differ.
MARGIN_SECONDS: Final = 2 * CACHE_SECONDS
# A key id is the time at which the key was created, in UTC.
KID_FORMAT: Final = "%Y%m%dT%H%M%SZ"

log = logging.getLogger(__name__)


class RotationError(Exception):
    """The rotation failed. Secrets Manager logs this and tries again later."""


def handler(event: dict[str, Any], _context: object) -> None:
    """Run one step of a rotation. Raises AwsError or RotationError, which leave the current ring as it is."""
    arn, version, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    stages = aws.secrets_manager("DescribeSecret", arn)["VersionIdsToStages"]
    if "AWSCURRENT" in stages.get(version, []):
        log.info("%s: this version is already current", step)
        return
    match step:
        case "createSecret":
            _create(arn, version, version_exists="AWSPENDING" in stages.get(version, []))
        case "setSecret":
            pass  # no other service has to learn the new key
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
            log.info("the new ring is current")
        case _:
            raise RotationError(f"no such step: {step}")


def renewed_ring(ring: Sequence[Key], *, now: float, lifetime: int) -> list[Key]:
    """Return the ring with a new key at its end and without the keys whose tokens have all expired.

    Args:
        ring: The current ring.
        now: The Unix time.
        lifetime: The lifetime of an access token, in seconds.

    """
    # A key signs until its successor is created, plus the margin.
    end = now - lifetime - MARGIN_SECONDS
    kept = [key for key, successor in pairwise(ring) if _created_at(successor) > end]
    kid = datetime.fromtimestamp(now, UTC).strftime(KID_FORMAT)
    return [*kept, ring[-1], Key(kid, secrets.token_urlsafe(MIN_KEY_BYTES))]


def _created_at(key: Key) -> float:
    """Return the Unix time in a key's id; infinity if there is none, so that the key before it is kept."""
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
    """Return whether the pending version has a value. Secrets Manager can create a version without one."""
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
        raise RotationError("the new ring lacks the current signing key")
