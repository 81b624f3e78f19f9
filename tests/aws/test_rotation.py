"""auth.rotation: the four steps of a rotation."""

import json
import uuid
from datetime import UTC, datetime

import pytest

from auth.rotation import RotationError, handler, renewed_ring
from common import aws
from common.keys import CACHE_SECONDS, Key
from tests.aws.conftest import Secret
from tests.support.lambdas import Context

DAY = 24 * 60 * 60
NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC).timestamp()


def key(age: float) -> Key:
    """Return a key that was created this many seconds ago."""
    return Key(datetime.fromtimestamp(NOW - age, UTC).strftime("%Y%m%dT%H%M%SZ"), "k" * 32)


class Rotation:
    """A rotation, driven like Secrets Manager does."""

    def __init__(self, secret: Secret) -> None:
        self.secret = secret
        self.version = str(uuid.uuid4())

    def take(self, step: str) -> None:
        """Run one step."""
        event = {"SecretId": self.secret.arn, "ClientRequestToken": self.version, "Step": step}
        handler(event, Context())

    def put(self, text: str) -> None:
        """Store a pending version, as if createSecret had run."""
        self.secret.client.put_secret_value(
            SecretId=self.secret.arn,
            ClientRequestToken=self.version,
            SecretString=text,
            VersionStages=["AWSPENDING"],
        )


@pytest.fixture
def rotation(secret: Secret) -> Rotation:
    """Return a rotation of a ring with one key."""
    secret.put({"20200101T000000Z": "o" * 32})
    return Rotation(secret)


def test_after_all_steps_a_new_key_is_at_the_end_of_the_ring(rotation: Rotation) -> None:
    before = rotation.secret.ring()
    for step in ("createSecret", "setSecret", "testSecret"):
        rotation.take(step)
        assert rotation.secret.ring() == before
    rotation.take("finishSecret")
    after = rotation.secret.ring()
    assert list(after)[:-1] == list(before)
    newest = datetime.strptime(list(after)[-1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - newest).total_seconds()) < DAY
    assert len(list(after.values())[-1]) >= 32


def test_every_step_can_be_repeated(rotation: Rotation) -> None:
    rotation.take("createSecret")
    pending = rotation.secret.ring("AWSPENDING")
    rotation.take("createSecret")
    assert rotation.secret.ring("AWSPENDING") == pending
    for step in ("setSecret", "testSecret", "finishSecret"):
        rotation.take(step)
        rotation.take(step)
    assert rotation.secret.ring() == pending


def test_a_current_version_is_not_changed(rotation: Rotation) -> None:
    for step in ("createSecret", "finishSecret"):
        rotation.take(step)
    ring = rotation.secret.ring()
    rotation.take("createSecret")
    assert rotation.secret.ring() == ring


def test_a_pending_version_without_a_value_gets_one(
    rotation: Rotation, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Secrets Manager can create such a version; moto does not.
    ask = aws.secrets_manager

    def as_if_pending(action: str, arn: str, **parameters: object) -> dict[str, object]:
        if action == "DescribeSecret":
            return {"VersionIdsToStages": {rotation.version: ["AWSPENDING"]}}
        return ask(action, arn, **parameters)

    monkeypatch.setattr(aws, "secrets_manager", as_if_pending)
    rotation.take("createSecret")
    assert len(rotation.secret.ring("AWSPENDING")) == 2


@pytest.mark.parametrize(
    "pending",
    [
        {"20300101T000000Z": "n" * 32},
        {"20200101T000000Z": "x" * 32, "20300101T000000Z": "n" * 32},
        {"20300101T000000Z": "n" * 32, "20200101T000000Z": "o" * 32},
    ],
)
def test_a_ring_without_the_current_signing_key_fails_the_test_step(
    pending: dict[str, str], rotation: Rotation
) -> None:
    rotation.put(json.dumps(pending))
    with pytest.raises(RotationError, match="lacks the current signing key"):
        rotation.take("testSecret")


def test_an_unknown_step_is_an_error(rotation: Rotation) -> None:
    with pytest.raises(RotationError, match="no such step: dance"):
        rotation.take("dance")


def test_a_key_stays_until_all_its_tokens_have_expired() -> None:
    lifetime = 1_800
    # A key signs until its successor is created. It is kept for the lifetime of a token plus the margin.
    edge = lifetime + 2 * CACHE_SECONDS
    ring = [key(9 * DAY), key(edge + 1), key(edge), key(edge - 1), key(60)]
    *kept, newest = renewed_ring(ring, now=NOW, lifetime=lifetime)
    assert kept == ring[2:]
    assert newest.kid == key(0).kid
    assert len(newest.secret.encode()) >= 32


def test_a_key_of_unknown_age_keeps_its_predecessor() -> None:
    ring = [Key("first", "f" * 32), Key("second", "s" * 32)]
    assert renewed_ring(ring, now=NOW, lifetime=1_800)[:-1] == ring


def test_new_keys_are_unique() -> None:
    ring = [key(60)]
    secrets = {renewed_ring(ring, now=NOW, lifetime=1_800)[-1].secret for _ in range(50)}
    assert len(secrets) == 50
