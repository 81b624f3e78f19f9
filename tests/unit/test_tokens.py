"""common.tokens: valid tokens, and every kind of invalid one."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.keys import Key, KeyRing
from common.principal import Principal
from common.tokens import InvalidTokenError, sign, verify

BEARER = Principal(7, "5f0c64a2-6d1e-4a3b-9c56-0f4a5b1f8a11")
OLD = Key("2026-01", "o" * 32)
NEW = Key("2026-02", "n" * 32)


def ring_of(monkeypatch: pytest.MonkeyPatch, *keys: Key) -> KeyRing:
    monkeypatch.setenv("JWT_KEYS", json.dumps(dict(keys)))
    return KeyRing()


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> KeyRing:
    """Return a ring with an old and a new key."""
    return ring_of(monkeypatch, OLD, NEW)


def claims(**changes: object) -> dict[str, Any]:
    """Return valid claims with changes; a claim that is changed to None is omitted."""
    now = int(time.time())
    good: dict[str, object] = {
        "iss": "social",
        "aud": "social-api",
        "sub": "7",
        "user_id": 7,
        "sid": BEARER.session_id,
        "iat": now,
        "exp": now + 60,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def forge(payload: object, header: dict[str, object] | None = None, *, secret: str = NEW.secret) -> str:
    """Return a token with any payload and header, signed with HS256."""
    fields = {"alg": "HS256", "typ": "JWT", "kid": NEW.kid, **(header or {})}
    signed = f"{encoded(json.dumps(fields))}.{encoded(json.dumps(payload))}"
    algorithm = jwt.get_algorithm_by_name("HS256")
    signature = algorithm.sign(signed.encode(), algorithm.prepare_key(secret))
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def assert_invalid(token: str, ring: KeyRing) -> None:
    with pytest.raises(InvalidTokenError):
        verify(token, ring)


def test_a_token_names_its_principal(ring: KeyRing) -> None:
    for user_id in (1, 7, 2**31 - 1):
        bearer = Principal(user_id, BEARER.session_id)
        assert verify(sign(bearer, ring.signing_key(), lifetime=60), ring) == bearer


def test_the_forgery_helper_can_make_a_valid_token(ring: KeyRing) -> None:
    # This shows that the tests below fail because of their change, not because of the forgery.
    assert verify(forge(claims()), ring) == BEARER


def test_a_token_has_the_registered_claims_and_names_its_key(ring: KeyRing) -> None:
    token = sign(BEARER, ring.signing_key(), lifetime=60)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", "kid": "2026-02"}
    payload = jwt.decode(token, options={"verify_signature": False})
    assert payload == claims(iat=payload["iat"], exp=payload["iat"] + 60)


def test_the_newest_key_signs_and_all_keys_in_the_ring_verify(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = ring_of(monkeypatch, OLD)
    token = sign(BEARER, before.signing_key(), lifetime=60)
    during = ring_of(monkeypatch, OLD, NEW)
    assert during.signing_key() == NEW
    assert verify(token, during) == BEARER
    assert_invalid(token, ring_of(monkeypatch, NEW))


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "HS384", "HS512", "RS256", "ES256", "hs256", "", None, 7]
)
def test_another_algorithm_is_refused(algorithm: object, ring: KeyRing) -> None:
    assert_invalid(forge(claims(), {"alg": algorithm}), ring)


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_refused_even_if_the_signature_is_valid(algorithm: str, ring: KeyRing) -> None:
    # A longer key, because PyJWT warns about a short one.
    token = jwt.encode(claims(), NEW.secret * 2, algorithm=algorithm, headers={"kid": NEW.kid})
    assert_invalid(token, ring)


def test_no_algorithm_and_no_signature_is_refused(ring: KeyRing) -> None:
    assert_invalid(jwt.encode(claims(), "", algorithm="none", headers={"kid": NEW.kid}), ring)


def test_a_token_without_its_signature_is_refused(ring: KeyRing) -> None:
    head, payload, _ = forge(claims()).split(".")
    assert_invalid(f"{head}.{payload}.", ring)
    assert_invalid(f"{head}.{payload}", ring)


def test_a_payload_under_the_signature_of_another_is_refused(ring: KeyRing) -> None:
    head, _, signature = forge(claims()).split(".")
    assert_invalid(f"{head}.{encoded(json.dumps(claims(sub='8', user_id=8)))}.{signature}", ring)


def test_a_foreign_key_is_refused(ring: KeyRing) -> None:
    assert_invalid(forge(claims(), secret="x" * 32), ring)


def test_one_of_our_keys_under_another_key_id_is_refused(ring: KeyRing) -> None:
    assert_invalid(forge(claims(), secret=OLD.secret), ring)


@pytest.mark.parametrize("kid", ["", "2026-03", "../../dev/null", None, 7, ["2026-02"], {"2026-02": 1}])
def test_an_unknown_key_is_refused(kid: object, ring: KeyRing) -> None:
    assert_invalid(forge(claims(), {"kid": kid}), ring)


def test_a_header_that_brings_its_own_key_is_refused(ring: KeyRing) -> None:
    jwk = {"kty": "oct", "k": encoded("x" * 32)}
    assert_invalid(forge(claims(), {"jwk": jwk, "jku": "https://evil.example"}, secret="x" * 32), ring)


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "exp", "user_id", "sid"])
def test_a_missing_claim_is_refused(claim: str, ring: KeyRing) -> None:
    assert_invalid(forge(claims(**{claim: None})), ring)


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("iss", "somebody"),
        ("iss", ["social"]),
        ("aud", "another-api"),
        ("aud", []),
        ("aud", 7),
        ("sub", 7),
        ("sub", "8"),
        ("sub", ""),
        ("sub", "07"),
        ("sub", ["7"]),
        ("user_id", "7"),
        ("user_id", 7.0),
        ("user_id", [7]),
        ("user_id", 8),
        ("iat", "now"),
        ("exp", "never"),
        ("exp", 0),
        ("exp", -1),
        ("nbf", "later"),
    ],
)
def test_a_wrong_claim_is_refused(claim: str, value: object, ring: KeyRing) -> None:
    assert_invalid(forge(claims(**{claim: value})), ring)


@pytest.mark.parametrize("user_id", [True, False, 0, -1, -7, 2**31, 10**30])
def test_an_impossible_user_id_is_refused_even_if_sub_agrees(user_id: int, ring: KeyRing) -> None:
    for sub in (str(user_id), str(int(user_id)), str(user_id).lower()):
        assert_invalid(forge(claims(user_id=user_id, sub=sub)), ring)


def test_a_token_is_valid_until_it_expires(ring: KeyRing) -> None:
    now = int(time.time())
    for seconds in (0, 1, 4, 60):
        assert_invalid(forge(claims(exp=now - seconds)), ring)
    assert_invalid(sign(BEARER, NEW, lifetime=-1), ring)
    assert verify(forge(claims(exp=now + 600)), ring) == BEARER


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_of_the_future_is_refused(claim: str, ring: KeyRing) -> None:
    now = int(time.time())
    assert_invalid(forge(claims(**{claim: now + 7})), ring)
    assert_invalid(forge(claims(**{claim: now + 600})), ring)


def test_the_clock_that_signs_may_be_five_seconds_ahead(ring: KeyRing) -> None:
    assert verify(forge(claims(iat=int(time.time()) + 5)), ring) == BEARER


@pytest.mark.parametrize("payload", [None, [], "text", 7, [["user_id", 7]]])
def test_a_payload_that_is_not_an_object_is_refused(payload: object, ring: KeyRing) -> None:
    assert_invalid(forge(payload), ring)


@pytest.mark.parametrize(
    "token",
    [
        "a" * 1_000_000,
        "." * 1_000_000,
        encoded('{"a":' * 100_000) + ".e30.e30",
        encoded("[" * 100_000) + ".e30.e30",
        encoded(json.dumps({"alg": "HS256", "kid": "k" * 1_000_000})) + ".e30.e30",
        encoded('{"alg": "HS256", "kid": ' + "9" * 5_000 + "}") + ".e30.e30",
    ],
    ids=["long", "dots", "deep object", "deep list", "long kid", "long number"],
)
def test_a_huge_token_is_refused(token: str, ring: KeyRing) -> None:
    assert_invalid(token, ring)


def test_a_huge_claim_with_a_valid_signature_does_no_harm(ring: KeyRing) -> None:
    assert verify(forge(claims(note="n" * 100_000)), ring) == BEARER


@example("")
@example("..")
@example("a.b.c")
@example("\0")
@example("\ud800.e30.e30")  # a lone surrogate
@given(st.text() | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*", fullmatch=True))
def test_no_text_causes_another_error(token: str) -> None:
    assert_invalid(token, KeyRing())


@given(
    header=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64"]), st.integers() | st.text())
)
def test_no_header_causes_another_error(header: dict[str, object]) -> None:
    assert_invalid(forge(claims(), {"kid": "unknown", **header}), KeyRing())
