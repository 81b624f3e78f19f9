"""common.settings: every way in which the environment can be wrong, and what the message says."""

import pytest

from common.settings import DatabaseSettings, SettingsError, database_settings, env_int, env_str

URL = "postgresql://app:secret@db.example.com:6543/social"


@pytest.fixture(autouse=True)
def _deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the settings as a deployed function does, unless a test says that it runs locally."""
    monkeypatch.setenv("STAGE", "prod")


def settings(monkeypatch: pytest.MonkeyPatch, url: str, *, stage: str = "prod") -> DatabaseSettings:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("STAGE", stage)
    return database_settings()


def test_a_value_that_is_set_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGIN", "https://app.example.com")
    assert env_str("CORS_ORIGIN") == "https://app.example.com"


def test_a_value_that_is_unset_or_empty_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGIN", "")
    with pytest.raises(SettingsError, match=r"^CORS_ORIGIN is not set: "):
        env_str("CORS_ORIGIN")
    monkeypatch.delenv("CORS_ORIGIN")
    with pytest.raises(SettingsError, match=r"^CORS_ORIGIN is not set: "):
        env_str("CORS_ORIGIN")


@pytest.mark.parametrize("value", ["60", "61", "600", "0061"])
def test_a_number_within_its_bounds_is_returned(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_LIFETIME", value)
    assert env_int("TOKEN_LIFETIME", minimum=60, maximum=600) == int(value)


@pytest.mark.parametrize("value", ["59", "601", "-60", "60.0", "1e2", "an hour", " 60", "0x60", "²"])
def test_what_is_no_number_within_its_bounds_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_LIFETIME", value)
    with pytest.raises(SettingsError, match=r"^TOKEN_LIFETIME is not a whole number from 60 to 600$"):
        env_int("TOKEN_LIFETIME", minimum=60, maximum=600)


def test_a_url_says_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgres://the%40app:p%40ss%2Fw%3Ard@db.example.com:6543/the%20base?sslrootcert=/ca.pem&auth=iam"
    assert settings(monkeypatch, url) == DatabaseSettings(
        host="db.example.com",
        port=6543,
        name="the base",
        user="the@app",
        password="p@ss/w:rd",
        tls=True,
        ca="/ca.pem",
        iam=True,
    )


def test_a_url_need_not_say_more_than_where_and_who(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch, "postgresql://app@db.example.com/social")
    assert (found.port, found.password, found.ca, found.iam) == (5432, None, None, False)


@pytest.mark.parametrize("port", ["65536", "-1", "port"])
def test_a_port_that_is_none_is_named(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        SettingsError, match=r"^DATABASE_URL has a port that is not a number from 0 to 65535$"
    ):
        settings(monkeypatch, f"postgresql://app@db.example.com:{port}/social")


@pytest.mark.parametrize(
    "url",
    [
        "db.example.com",
        "mysql://app@db.example.com/social",
        "postgresql+pg8000://app@db.example.com/social",
        "postgresql://db.example.com/social",
        "postgresql://app@/social",
        "postgresql:///social",
        "postgresql://app@db.example.com",
        "postgresql://app@db.example.com/",
    ],
)
def test_what_is_no_url_of_a_database_is_named_without_its_password(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = r"^DATABASE_URL is not of the form postgresql://user:password@host:port/database$"
    with pytest.raises(SettingsError, match=expected):
        settings(monkeypatch, url)


@pytest.mark.parametrize(
    ("stage", "host", "sslmode", "tls"),
    [
        ("prod", "db.example.com", None, True),
        ("prod", "localhost", None, True),
        ("prod", "localhost", "verify-full", True),
        ("local", "db.example.com", None, True),
        ("local", "localhost", None, False),
        ("local", "127.0.0.1", None, False),
        ("local", "[::1]", None, False),
        ("local", "localhost", "verify-full", True),
        ("local", "db.example.com", "disable", False),
    ],
)
def test_tls_is_left_out_only_in_a_local_run(
    stage: str, host: str, sslmode: str | None, *, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    option = f"?sslmode={sslmode}" if sslmode else ""
    assert settings(monkeypatch, f"postgresql://app@{host}/social{option}", stage=stage).tls is tls


def test_tls_cannot_be_turned_off_outside_a_local_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"^DATABASE_URL turns TLS off: .* STAGE=local only$"):
        settings(monkeypatch, f"{URL}?sslmode=disable")


@pytest.mark.parametrize("stage", ["prod", "local"])
@pytest.mark.parametrize("sslmode", ["allow", "prefer", "require", "verify-ca", "VERIFY-FULL"])
def test_tls_that_does_not_verify_is_refused_everywhere(
    sslmode: str, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match=rf"^DATABASE_URL has sslmode={sslmode}: use verify-full"):
        settings(monkeypatch, f"{URL}?sslmode={sslmode}", stage=stage)
