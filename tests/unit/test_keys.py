"""common.keys: parsing of key rings."""

import json

import pytest

from common.keys import Key, KeyRing, parse_keys
from common.settings import SettingsError


def test_keys_keep_the_order_of_the_document() -> None:
    assert parse_keys(json.dumps({"b": "1" * 32, "a": "ä" * 16})) == (Key("b", "1" * 32), Key("a", "ä" * 16))


@pytest.mark.parametrize("document", ["", "secret", "{", "{'a': 'b'}"])
def test_a_ring_that_is_not_json_is_refused_and_not_shown(document: str) -> None:
    with pytest.raises(
        SettingsError, match=r"^JWT_KEYS is not JSON: give an object that maps key ids to keys$"
    ):
        parse_keys(document)


@pytest.mark.parametrize(
    "document", ["{}", "[]", "null", '"secret"', '{"a": 7}', '{"a": null}', '{"a": ["b"]}']
)
def test_a_ring_that_is_not_an_object_of_keys_is_refused(document: str) -> None:
    with pytest.raises(SettingsError, match=r"^JWT_KEYS is not an object that maps key ids to keys, like "):
        parse_keys(document)


@pytest.mark.parametrize("key", ["", "x" * 31, "ä" * 15])
def test_a_short_key_is_refused_by_name_and_not_shown(key: str) -> None:
    document = json.dumps({"good": "x" * 32, "weak": key})
    with pytest.raises(SettingsError, match=r"^JWT_KEYS has a key shorter than 32 bytes: weak$"):
        parse_keys(document)


def test_keys_in_an_environment_variable_require_a_local_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGE", "prod")
    with pytest.raises(SettingsError, match=r"^JWT_KEYS holds keys, which only STAGE=local may do: "):
        KeyRing()
