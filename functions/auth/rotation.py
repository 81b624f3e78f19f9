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
from common.keys import CACHE_SECONDS, KID_FORMAT, MIN_KEY_BYTES, SIGNING_DELAY_SECONDS, Key, parse_keys

# Clocks of functions may differ by this much.
CLOCK_SECONDS: Final = 60
# A key still signs until its successor may sign and every function has fetched the ring with the successor.
MAX_SIGNING_OVERLAP_SECONDS: Final = SIGNING_DELAY_SECONDS + CACHE_SECONDS + CLOCK_SECONDS
# If finishSecret comes later than this after createSecret, the new key would sign before every function has
# fetched it.
MAX_PENDING_SECONDS: Final = SIGNING_DELAY_SECONDS - CACHE_SECONDS - CLOCK_SECONDS

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
            _finish(arn, version, current)
        case _:
            raise RotationError(f"no such step: {step}")


def renewed_ring(ring: Sequence[Key], *, now: float, lifetime: int) -> list[Key]:
    """Return the ring with a new key at its end and without the keys whose tokens have all expired.

    Args:
        ring: The current ring.
        now: The Unix time.
        lifetime: The lifetime of an access token, in seconds.

    """
    end = now - lifetime - MAX_SIGNING_OVERLAP_SECONDS
    kept = [key for key, successor in pairwise(ring) if _is_newer(successor, end)]
    kid = datetime.fromtimestamp(now, UTC).strftime(KID_FORMAT)
    return [*kept, ring[-1], Key(kid, secrets.token_urlsafe(MIN_KEY_BYTES))]


def _is_newer(key: Key, time: float) -> bool:
    """Return whether a key was created after a Unix time, or may have been, because its id is not a time."""
    created_at = key.created_at()
    return created_at is None or created_at > time


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
        _pending_ring(arn, version)
    except aws.AwsError:
        return False
    return True


def _pending_ring(arn: str, version: str) -> tuple[Key, ...]:
    pending = aws.secrets_manager("GetSecretValue", arn, VersionId=version, VersionStage="AWSPENDING")
    return parse_keys(pending["SecretString"])


def _test(arn: str, version: str) -> None:
    """Raise RotationError unless the pending ring is the current one, or the current one with a new key.

    When a rotation is scheduled, Secrets Manager runs only this step, on a pending version with the current
    ring.
    """
    pending, current = _pending_ring(arn, version), parse_keys(aws.secret_value(arn))
    if pending != current and current[-1] not in pending[:-1]:
        raise RotationError("the new ring lacks the newest key of the current ring")


def _finish(arn: str, version: str, current: str) -> None:
    """Make the pending version current, unless its key might sign before every function knows it."""
    if not _is_newer(_pending_ring(arn, version)[-1], time.time() - MAX_PENDING_SECONDS):
        aws.secrets_manager(
            "UpdateSecretVersionStage", arn, VersionStage="AWSPENDING", RemoveFromVersionId=version
        )
        raise RotationError(f"the new key is older than {MAX_PENDING_SECONDS} seconds: rotate again")
    aws.secrets_manager(
        "UpdateSecretVersionStage",
        arn,
        VersionStage="AWSCURRENT",
        MoveToVersionId=version,
        RemoveFromVersionId=current,
    )
    log.info("the new ring is current")
