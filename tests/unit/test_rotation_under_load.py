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


class Clock:
    """The clock of the key rings."""

    now = 1_795_305_600.0


@pytest.mark.parametrize("seed", range(3))
def test_key_rotation_under_load_rejects_no_valid_token(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    secret = [FIRST]
    monkeypatch.setenv("JWT_KEYS", ARN)
    monkeypatch.setattr("common.keys.time.time", lambda: Clock.now)
    monkeypatch.setattr(keys, "parse_keys", lambda _: tuple(secret))
    monkeypatch.setattr(aws, "secret_value", lambda _: "")
    environments = [KeyRing() for _ in range(20)]
    alive: list[tuple[str, float]] = []
    checks = 0
    for step in range(ROTATION_SECONDS * ROTATIONS // STEP):
        Clock.now += STEP
        if step % (ROTATION_SECONDS // STEP) == 0:
            secret = rotation.renewed_ring(secret, now=Clock.now, lifetime=LIFETIME)
        # Environments with few requests notice a new ring late.
        signer = environments[min(chance.randrange(20), chance.randrange(20))]
        alive = [(kid, expiry) for kid, expiry in alive if expiry > Clock.now]
        alive.append((signer.newest().kid, Clock.now + LIFETIME))
        for kid, _ in chance.sample(alive, min(10, len(alive))):
            assert chance.choice(environments).find(kid).kid == kid
            checks += 1
    assert checks > 5_000
    assert len(secret) < 8
    assert FIRST not in secret
