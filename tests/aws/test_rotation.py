"""auth.rotation: the four steps of a rotation."""

import json
import uuid
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from auth import rotation as rotation_function
from auth.rotation import RotationError, handler, renewed_ring
from common import aws
from common.keys import CACHE_SECONDS, SIGNING_DELAY_SECONDS, Key
from tests.aws.conftest import Secret
from tests.support.lambdas import Context

DAY = 24 * 60 * 60
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
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

    def retry(self) -> None:
        """Run all steps of the rotation that moto started."""
        self.version = self.versions("AWSPENDING")[0]
        for step in STEPS:
            self.take(step)

    def versions(self, label: str) -> list[str]:
        """Return the versions with a staging label."""
        stages = self.secret.client.describe_secret(SecretId=self.secret.arn)["VersionIdsToStages"]
        return [version for version, labels in stages.items() if label in labels]

    def put(self, text: str) -> None:
        """Store a pending version, as if createSecret had run."""
        self.secret.client.put_secret_value(
            SecretId=self.secret.arn,
            ClientRequestToken=self.version,
            SecretString=text,
            VersionStages=["AWSPENDING"],
        )


@pytest.fixture
def rotation(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Rotation:
    """Return a rotation of a ring with one key."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto_url)
    # moto copies the value with which a secret was created into a pending version.
    return Rotation(Secret(moto_url, {"20200101T000000Z": "o" * 32}))


class Backend:
    """Lambda in moto: invokes the rotation function, and stops after a failure like Secrets Manager does.

    Attributes:
        steps: The steps that ran.
        error: What the function raised.
        fail_before: The step before which the function fails.
        repeats: How often each step is invoked.

    """

    def __init__(self, arn: str) -> None:
        self.arn = arn
        self.steps: list[str] = []
        self.error: Exception | None = None
        self.fail_before = ""
        self.repeats = 1

    def get_function(self, arn: str) -> None:
        """Do nothing: the function exists."""

    def invoke(self, _: str, *, body: str, **__: object) -> None:
        """Invoke the function. moto sends the name of the secret, Secrets Manager its ARN."""
        event = json.loads(body) | {"SecretId": self.arn}
        if self.error or event["Step"] == self.fail_before:
            self.error = self.error or TimeoutError()
            return
        try:
            for _attempt in range(self.repeats):
                handler(event, Context())
        except Exception as error:  # a rotation is asynchronous: its caller sees no error
            self.error = error
        else:
            self.steps.append(event["Step"])


@pytest.fixture
def backend(rotation: Rotation, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Return moto's Lambda, with the rotation function in it."""
    backend = Backend(rotation.secret.arn)
    monkeypatch.setattr("moto.awslambda.utils.get_backend", lambda *_: backend)

    def set_default(secret: Any, version: str) -> None:  # noqa: ANN401  # moto's secret
        # moto reads this version if a request names none, even if the function failed.
        if "AWSCURRENT" in secret.versions[version]["version_stages"]:
            secret.default_version_id = version

    monkeypatch.setattr("moto.secretsmanager.models.FakeSecret.set_default_version_id", set_default)
    return backend


def created_at(ring: dict[str, str]) -> float:
    """Return the Unix time at which the newest key of a ring was created."""
    return datetime.strptime(list(ring)[-1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def start(rotation: Rotation, days: int, *, immediately: bool) -> None:
    """Set the schedule of a secret, as CloudFormation does, or rotate it."""
    rotation.secret.client.rotate_secret(
        SecretId=rotation.secret.arn,
        RotationLambdaARN="arn:aws:lambda:eu-central-1:123456789012:function:rotation",
        RotationRules={"AutomaticallyAfterDays": days},
        RotateImmediately=immediately,
    )


def remove_pending_label(rotation: Rotation) -> None:
    """Remove the pending version, as Secrets Manager does after a successful test of the configuration."""
    for version in rotation.versions("AWSPENDING"):
        rotation.secret.client.update_secret_version_stage(
            SecretId=rotation.secret.arn, VersionStage="AWSPENDING", RemoveFromVersionId=version
        )


@pytest.mark.parametrize("repeats", [1, 2])
def test_a_new_schedule_is_tested_with_the_current_ring(
    repeats: int, rotation: Rotation, backend: Backend
) -> None:
    # The first deployment, and two changes of the schedule.
    backend.repeats = repeats
    before = rotation.secret.ring()
    for days in (30, 60, 7):
        start(rotation, days, immediately=False)
        assert rotation.secret.ring("AWSPENDING") == before
        remove_pending_label(rotation)
    assert backend.error is None
    assert backend.steps == ["testSecret"] * 3
    assert rotation.secret.ring() == before


@pytest.mark.parametrize("repeats", [1, 2])
def test_secrets_manager_rotates_the_ring(
    repeats: int, rotation: Rotation, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.repeats = repeats
    start(rotation, 30, immediately=False)
    remove_pending_label(rotation)
    for count in (2, 3):
        backend.steps.clear()
        before = rotation.secret.ring()
        now = NOW + count
        monkeypatch.setattr(rotation_function, "time", SimpleNamespace(time=lambda now=now: now))
        start(rotation, 30, immediately=True)
        assert backend.error is None
        assert backend.steps == list(STEPS)
        assert len(rotation.secret.ring()) == count
        assert list(rotation.secret.ring().items())[:-1] == list(before.items())
        remove_pending_label(
            rotation
        )  # it may stay at the current version, which moto refuses (AWS does not)


@pytest.mark.parametrize("step", STEPS)
def test_a_rotation_that_failed_between_two_steps_can_be_repeated(
    step: str, rotation: Rotation, backend: Backend
) -> None:
    before = rotation.secret.ring()
    backend.fail_before = step
    start(rotation, 30, immediately=True)
    assert backend.steps == list(STEPS[: STEPS.index(step)])
    assert rotation.secret.ring() == before
    rotation.retry()
    assert list(rotation.secret.ring())[:-1] == list(before)
    assert rotation.versions("AWSPENDING") in ([], rotation.versions("AWSCURRENT"))


def test_a_key_that_waited_too_long_never_becomes_current(
    rotation: Rotation, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It would sign at once, before every function has fetched it.
    before = rotation.secret.ring()
    rotation.take("createSecret")
    now = created_at(rotation.secret.ring("AWSPENDING")) + SIGNING_DELAY_SECONDS - CACHE_SECONDS - 60
    monkeypatch.setattr(rotation_function, "time", SimpleNamespace(time=lambda: now))
    with pytest.raises(RotationError, match="the new key is older than 240 seconds: rotate again"):
        rotation.take("finishSecret")
    assert rotation.secret.ring() == before
    # So Secrets Manager can start the next rotation.
    assert rotation.versions("AWSPENDING") == []


def test_a_key_becomes_current_until_shortly_before_it_would_sign_too_early(
    rotation: Rotation, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotation.take("createSecret")
    pending = rotation.secret.ring("AWSPENDING")
    now = created_at(pending) + SIGNING_DELAY_SECONDS - CACHE_SECONDS - 61
    monkeypatch.setattr(rotation_function, "time", SimpleNamespace(time=lambda: now))
    rotation.take("finishSecret")
    assert rotation.secret.ring() == pending


def test_after_all_steps_a_new_key_is_at_the_end_of_the_ring(rotation: Rotation) -> None:
    before = rotation.secret.ring()
    for step in ("createSecret", "setSecret", "testSecret"):
        rotation.take(step)
        assert rotation.secret.ring() == before
    rotation.take("finishSecret")
    after = rotation.secret.ring()
    assert list(after)[:-1] == list(before)
    assert abs(datetime.now(UTC).timestamp() - created_at(after)) < DAY
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
def test_a_ring_without_the_newest_key_fails_the_test_step(
    pending: dict[str, str], rotation: Rotation
) -> None:
    rotation.put(json.dumps(pending))
    with pytest.raises(RotationError, match="lacks the newest key of the current ring"):
        rotation.take("testSecret")


def test_an_unknown_step_is_an_error(rotation: Rotation) -> None:
    with pytest.raises(RotationError, match="no such step: dance"):
        rotation.take("dance")


def test_a_key_stays_until_all_its_tokens_have_expired() -> None:
    lifetime = 1_800
    # A key signs until its successor signs, which functions with an old ring or a slow clock notice late.
    edge = lifetime + SIGNING_DELAY_SECONDS + CACHE_SECONDS + 60
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
