"""common.keys: a ring in a secret."""

import logging

import pytest

from common import aws, keys
from common.aws import AwsError
from common.keys import Key, KeyRing, UnknownKeyError
from common.settings import SettingsError
from tests.aws.conftest import Secret

OLD, NEW = Key("old", "o" * 32), Key("new", "n" * 32)


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
def ring_of(secret: Secret, monkeypatch: pytest.MonkeyPatch) -> Secret:
    """Return the secret that JWT_KEYS names. It holds one key."""
    monkeypatch.setenv("JWT_KEYS", secret.arn)
    monkeypatch.setenv("STAGE", "prod")
    secret.put(dict([OLD]))
    return secret


def test_the_ring_is_fetched_during_init_and_cached(ring_of: Secret) -> None:
    ring = KeyRing()
    ring_of.put(dict([OLD, NEW]))
    assert ring.newest() == OLD
    assert ring.find("old") == OLD


def test_the_ring_is_fetched_again_after_five_minutes(ring_of: Secret, clock: Clock) -> None:
    ring = KeyRing()
    ring_of.put(dict([OLD, NEW]))
    clock.now += keys.CACHE_SECONDS - 1
    assert ring.newest() == OLD
    clock.now += 1
    assert ring.newest() == NEW


def test_a_removed_key_is_refused_after_five_minutes(ring_of: Secret, clock: Clock) -> None:
    ring = KeyRing()
    ring_of.put(dict([NEW]))
    clock.now += keys.CACHE_SECONDS
    with pytest.raises(UnknownKeyError):
        ring.find("old")


def test_an_unknown_key_id_makes_us_fetch_the_ring_at_once(ring_of: Secret, clock: Clock) -> None:
    ring = KeyRing()
    ring_of.put(dict([OLD, NEW]))
    clock.now += keys.MIN_REFETCH_SECONDS
    assert ring.find("new") == NEW


def test_invented_key_ids_cause_at_most_one_request_per_second(
    ring_of: Secret, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = KeyRing()
    asked = []
    read = aws.secret_value

    def count(arn: str) -> str:
        asked.append(arn)
        return read(arn)

    monkeypatch.setattr(aws, "secret_value", count)
    for _ in range(10):
        with pytest.raises(UnknownKeyError):
            ring.find("made up")
    assert asked == []
    clock.now += keys.MIN_REFETCH_SECONDS
    for _ in range(10):
        with pytest.raises(UnknownKeyError):
            ring.find("made up")
    assert asked == [ring_of.arn]


@pytest.mark.parametrize("broken", ["", "not json", '{"new": "short"}'])
def test_the_old_ring_is_kept_if_no_new_one_can_be_fetched(
    broken: str,
    ring_of: Secret,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ring = KeyRing()
    if broken:
        ring_of.put(broken)
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:1")
    clock.now += keys.CACHE_SECONDS
    with caplog.at_level(logging.WARNING):
        assert ring.newest() == OLD
    assert "cannot refresh the keys" in caplog.text
    assert OLD.secret not in caplog.text


def test_a_ring_that_cannot_be_fetched_during_init_is_fetched_when_needed(
    ring_of: Secret, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:1")
    ring = KeyRing()
    with pytest.raises(AwsError):
        ring.newest()
    with pytest.raises(AwsError):
        ring.find("old")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto_url)
    assert ring.newest() == OLD
    ring_of.put("{}")


def test_a_secret_without_a_ring_is_a_settings_error(secret: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_KEYS", secret.arn)
    ring = KeyRing()
    with pytest.raises(SettingsError, match="is not an object that maps key ids to keys"):
        ring.newest()


def test_a_snapshot_contains_no_ring(ring_of: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
    ring = KeyRing()
    ring_of.put(dict([NEW]))
    assert ring.newest() == NEW
