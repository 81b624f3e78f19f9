"""Rotation of keys while many environments sign and verify: no valid token is refused."""

import random

import pytest

from auth import rotation
from common import aws, keys
from common.keys import Key, KeyRing

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys"
LIFETIME = 1_800
STEP = 20
# Rotate more often than tokens expire, so that the ring keeps several keys.
ROTATION_SECONDS = 900
ROTATIONS = 16
FIRST = Key("20261122T000000Z", "1" * keys.MIN_KEY_BYTES)
# The part of requests to Secrets Manager that fail.
FAILURES = 0.5


class Clock:
    """The clock of the key rings."""

    now = 1_795_305_600.0


@pytest.mark.parametrize("seed", range(3))
def test_key_rotation_under_load_rejects_no_valid_token(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    secret = [FIRST]

    def secret_value(_: str) -> str:
        if chance.random() < FAILURES:
            raise aws.AwsError("ThrottlingException")
        return ""

    monkeypatch.setenv("JWT_KEYS", ARN)
    monkeypatch.setattr("common.keys.time.time", lambda: Clock.now)
    monkeypatch.setattr(keys, "parse_keys", lambda _: tuple(secret))
    monkeypatch.setattr(aws, "secret_value", secret_value)
    environments = [KeyRing() for _ in range(20)]
    alive: list[tuple[str, float]] = []
    signers = set()
    checks = errors = 0
    for step in range(ROTATION_SECONDS * ROTATIONS // STEP):
        Clock.now += STEP
        if step % (ROTATION_SECONDS // STEP) == 0:
            secret = rotation.renewed_ring(secret, now=Clock.now, lifetime=LIFETIME)
        # Environments with few requests notice a new ring late.
        signer = environments[min(chance.randrange(20), chance.randrange(20))]
        alive = [(kid, expiry) for kid, expiry in alive if expiry > Clock.now]
        try:
            alive.append((signer.signing_key().kid, Clock.now + LIFETIME))
        except aws.AwsError:  # this environment has not fetched a ring yet
            errors += 1
        signers.add(alive[-1][0] if alive else "")
        for kid, _ in chance.sample(alive, min(10, len(alive))):
            try:
                # UnknownKeyError would be a cached Deny.
                assert chance.choice(environments).find(kid).kid == kid
            except aws.AwsError:  # not cached
                errors += 1
            checks += 1
    assert checks > 5_000
    assert errors < checks / 20
    assert len(signers) > ROTATIONS - 2
    assert len(secret) < 8
    assert FIRST not in secret
