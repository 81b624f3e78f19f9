"""common.keys: a ring in a secret."""

import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from auth import authorizer
from common import aws, keys
from common.aws import AwsError
from common.keys import Key, KeyRing, UnknownKeyError
from common.principal import Principal
from common.settings import SettingsError
from common.tokens import sign
from tests.aws.conftest import Secret
from tests.support.lambdas import Context, load_event

OLD, NEW = Key("old", "o" * 32), Key("new", "n" * 32)
NOWHERE = "http://127.0.0.1:1"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock of the ring."""
    clock = Clock()
    monkeypatch.setattr(keys, "time", clock)
    return clock


@pytest.fixture
def ring_secret(secret: Secret, monkeypatch: pytest.MonkeyPatch) -> Secret:
    """Return the secret that JWT_KEYS names. It holds one key."""
    monkeypatch.setenv("JWT_KEYS", secret.arn)
    monkeypatch.setenv("STAGE", "prod")
    secret.put(dict([OLD]))
    return secret


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the ARNs of the secrets that were requested."""
    requested: list[str] = []
    read = aws.secret_value

    def record(arn: str) -> str:
        requested.append(arn)
        return read(arn)

    monkeypatch.setattr(aws, "secret_value", record)
    return requested


def created_at(time: float) -> Key:
    """Return a key that was created at a Unix time."""
    return Key(datetime.fromtimestamp(time, UTC).strftime("%Y%m%dT%H%M%SZ"), "c" * 32)


def authorize(key: Key) -> dict[str, Any]:
    """Return the policy for a token that was signed with a key."""
    token = sign(Principal(7, "5f0c64a2-6d1e-4a3b-9c56-0f4a5b1f8a11"), key, lifetime=60)
    return authorizer.handler(load_event("authorize") | {"authorizationToken": f"Bearer {token}"}, Context())


def effect(policy: dict[str, Any]) -> str:
    [statement] = policy["policyDocument"]["Statement"]
    result: str = statement["Effect"]
    return result


def test_the_ring_is_fetched_during_init_and_cached(ring_secret: Secret) -> None:
    ring = KeyRing()
    ring_secret.put(dict([NEW]))
    assert ring.signing_key() == OLD
    assert ring.find("old") == OLD


def test_the_ring_is_fetched_again_after_five_minutes(ring_secret: Secret, clock: Clock) -> None:
    ring = KeyRing()
    ring_secret.put(dict([OLD, NEW]))
    clock.now += 5 * 60 - 1
    assert ring.signing_key() == OLD
    clock.now += 1
    assert ring.signing_key() == NEW
    assert ring.find("new") == NEW


def test_a_removed_key_is_refused_after_five_minutes(ring_secret: Secret, clock: Clock) -> None:
    ring = KeyRing()
    ring_secret.put(dict([NEW]))
    clock.now += 5 * 60
    with pytest.raises(UnknownKeyError):
        ring.find("old")


def test_a_new_key_signs_ten_minutes_after_it_was_created(ring_secret: Secret, clock: Clock) -> None:
    new = created_at(clock.now)
    ring_secret.put(dict([OLD, new]))
    ring = KeyRing()
    assert ring.find(new.kid) == new
    assert ring.signing_key() == OLD
    clock.now += 10 * 60 - 1
    assert ring.signing_key() == OLD
    clock.now += 1
    assert ring.signing_key() == new


def test_of_several_keys_that_are_old_enough_the_newest_signs(ring_secret: Secret, clock: Clock) -> None:
    ring = [created_at(clock.now - age) for age in (3_600, 900, 599, 0)]
    ring_secret.put(dict(ring))
    assert KeyRing().signing_key() == ring[1]


def test_if_all_keys_are_new_the_oldest_signs(ring_secret: Secret, clock: Clock) -> None:
    ring = [created_at(clock.now - age) for age in (2, 1)]
    ring_secret.put(dict(ring))
    assert KeyRing().signing_key() == ring[0]


def test_invented_key_ids_cause_no_request(ring_secret: Secret, clock: Clock, requests: list[str]) -> None:
    ring = KeyRing()
    for seconds in (0, 299, 1):
        clock.now += seconds
        for _ in range(10):
            with pytest.raises(UnknownKeyError):
                ring.find("made up")
    assert requests == [ring_secret.arn] * 2  # during init, and after five minutes


def test_an_unknown_key_is_denied_while_the_ring_is_up_to_date(
    ring_secret: Secret, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authorizer, "ring", KeyRing())
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", NOWHERE)
    clock.now += 5 * 60 - 1
    assert effect(authorize(NEW)) == "Deny"
    assert effect(authorize(OLD)) == "Allow"
    assert ring_secret.ring() == dict([OLD])


@pytest.mark.parametrize("broken", ["", "not json"])
def test_a_failed_look_up_of_an_unknown_key_is_not_denied(
    broken: str, ring_secret: Secret, clock: Clock, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # API Gateway caches a Deny for five minutes, but not an error.
    monkeypatch.setattr(authorizer, "ring", KeyRing())
    if broken:
        ring_secret.put(broken)
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", NOWHERE)
    clock.now += 5 * 60
    for _ in range(2):
        with pytest.raises(AwsError, match="unknown key id, and the key ring is outdated"):
            authorize(NEW)
        assert effect(authorize(OLD)) == "Allow"
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto_url)
    ring_secret.put(dict([OLD, NEW]))
    clock.now += keys.RETRY_SECONDS
    assert effect(authorize(NEW)) == "Allow"
    clock.now += 5 * 60 - 1
    assert effect(authorize(created_at(clock.now))) == "Deny"


def test_a_failed_look_up_is_repeated_after_a_pause(
    ring_secret: Secret, clock: Clock, requests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = KeyRing()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", NOWHERE)
    clock.now += 5 * 60
    for expected in (2, 3):
        for _ in range(10):
            assert ring.find("old") == OLD
            with pytest.raises(AwsError):
                ring.find("new")
        assert requests == [ring_secret.arn] * expected
        clock.now += keys.RETRY_SECONDS


@pytest.mark.parametrize("broken", ["", "not json", '{"new": "short"}'])
def test_the_old_ring_is_kept_if_no_new_one_can_be_fetched(
    broken: str,
    ring_secret: Secret,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ring = KeyRing()
    if broken:
        ring_secret.put(broken)
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", NOWHERE)
    clock.now += keys.CACHE_SECONDS
    with caplog.at_level(logging.WARNING):
        assert ring.signing_key() == OLD
    assert "cannot refresh the keys" in caplog.text
    assert OLD.secret not in caplog.text


def test_a_ring_that_cannot_be_fetched_during_init_is_fetched_when_needed(
    ring_secret: Secret, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", NOWHERE)
    ring = KeyRing()
    with pytest.raises(AwsError):
        ring.signing_key()
    with pytest.raises(AwsError):
        ring.find("old")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto_url)
    assert ring.signing_key() == OLD
    ring_secret.put("{}")


def test_a_secret_without_a_ring_is_a_settings_error(secret: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_KEYS", secret.arn)
    ring = KeyRing()
    with pytest.raises(SettingsError, match="is not an object that maps key ids to keys"):
        ring.signing_key()


def test_a_snapshot_contains_no_ring(ring_secret: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
    ring = KeyRing()
    ring_secret.put(dict([NEW]))
    assert ring.signing_key() == NEW
