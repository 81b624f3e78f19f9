"""Which environment variables are accepted, and the errors of the others."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from local.errors import LocalRunError
from local.settings import Settings

KEY = "k" * 32
SENDER = "app@example.com"
Read = Callable[..., Settings]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STAGE", "PORT", "DATABASE_URL", "JWT_KEYS", "CORS_ORIGIN", "MAIL_FROM", "APP_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    """Return the path of a file that does not exist."""
    return tmp_path / ".env"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, env_file: Path) -> Read:
    """Return a function that reads the settings with the given variables set."""

    def read(**variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return Settings.read(env_file)

    return read


def test_nothing_is_set(read: Read) -> None:
    assert read() == Settings(3000, "", "", "*", SENDER, "", 0)


def test_empty_is_unset(read: Read) -> None:
    assert read(PORT="", DATABASE_URL="", JWT_KEYS="", CORS_ORIGIN="") == Settings(
        3000, "", "", "*", SENDER, "", 0
    )


def test_everything_is_set(read: Read) -> None:
    keys = json.dumps({"old": KEY, "new": KEY})
    url = "postgres://user:secret@db.example.com:5433/social?sslmode=verify-full"
    origin = "https://app.example.com"
    page = "http://localhost:5173/account?theme=dark"
    settings = Settings(80, url, keys, origin, "a.b@mail.example.com", page, 5678)
    own = {"MAIL_FROM": "a.b@mail.example.com", "APP_URL": page}
    read_settings = read(PORT="80", DATABASE_URL=url, JWT_KEYS=keys, CORS_ORIGIN=origin, ATTACH="5678", **own)
    assert read_settings == settings


def test_a_file_has_settings_and_the_environment_wins(read: Read, env_file: Path) -> None:
    keys = json.dumps({"a": KEY})
    url = "postgresql://u:p$%23{HOME}@localhost/social"
    env_file.write_text(
        f"# ours\nexport PORT=81\nDATABASE_URL='{url}'\nJWT_KEYS='{keys}'\nCORS_ORIGIN=*\nX\n"
    )
    assert read() == Settings(81, url, keys, "*", SENDER, "", 0)
    assert read(PORT="82", DATABASE_URL="") == Settings(82, "", keys, "*", SENDER, "", 0)


def test_an_empty_sender_turns_mail_off(read: Read, env_file: Path) -> None:
    env_file.write_text("MAIL_FROM=\n")
    assert read().mail_from == ""
    assert read(MAIL_FROM="own@example.com").mail_from == "own@example.com"


@pytest.mark.parametrize("address", ["app", "App <app@example.com>", "a@example.com,b@example.com", "@x"])
def test_a_wrong_sender_is_named(read: Read, address: str) -> None:
    with pytest.raises(LocalRunError, match=r"^MAIL_FROM is "):
        read(MAIL_FROM=address)


@pytest.mark.parametrize("page", ["localhost:5173", "/account", "https://app.example.com/#account", "x"])
def test_a_wrong_page_is_named(read: Read, page: str) -> None:
    with pytest.raises(LocalRunError, match=r"^APP_URL is "):
        read(APP_URL=page)


def test_a_wrong_line_of_the_file_is_named(read: Read, env_file: Path) -> None:
    env_file.write_text("PORT=http\n")
    with pytest.raises(LocalRunError, match="PORT is 'http'"):
        read()
    env_file.write_bytes(b"PORT=\xff\n")
    with pytest.raises(LocalRunError, match=r"cannot read .*\.env"):
        read()


@pytest.mark.parametrize("origin", ["localhost:5173", "http://localhost/", "http://a'b", "null"])
def test_a_wrong_origin(origin: str, read: Read) -> None:
    with pytest.raises(LocalRunError, match="CORS_ORIGIN is"):
        read(CORS_ORIGIN=origin)


@pytest.mark.parametrize("port", ["x", "-1", "65536", "3.5", " 1"])
def test_a_wrong_port(port: str, read: Read) -> None:
    with pytest.raises(LocalRunError, match="PORT is"):
        read(PORT=port)


@pytest.mark.parametrize(
    "url",
    [
        "secret",
        "mysql://user:secret@host/social",
        "postgresql://user:secret@host",
        "postgresql://user:secret@host/",
        "postgresql:///social?password=secret",
        "postgresql://user:secret@host:port/social",
        "postgresql://user:secret@host:70000/social",
        "postgresql://user:secret@[::1/social",
        "postgresql://user:secret\u2100@host/social",
        "postgresql://host/social?user=secret",
        "postgresql://user:secret@host/social?sslmode=require",
    ],
)
def test_a_wrong_database_url_is_not_quoted(url: str, read: Read) -> None:
    with pytest.raises(LocalRunError, match="DATABASE_URL ") as caught:
        read(DATABASE_URL=url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "keys",
    [
        "secret",
        "[]",
        "{}",
        '"secret"',
        '{"a": 5}',
        json.dumps({"a": "secret"}),
        json.dumps({"good": KEY, "a": "k" * 31}),
        json.dumps({"a": "secret" * 6 + "\ud800"}),
    ],
)
def test_wrong_keys_are_not_quoted(keys: str, read: Read) -> None:
    with pytest.raises(LocalRunError, match="JWT_KEYS") as caught:
        read(JWT_KEYS=keys)
    assert "secret" not in str(caught.value)


def test_a_key_is_measured_in_bytes(read: Read) -> None:
    read(JWT_KEYS=json.dumps({"a": "é" * 16}))
