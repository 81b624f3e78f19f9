"""common.settings: each error in the environment variables, and its message."""

import pytest

from common.settings import (
    DatabaseSettings,
    SettingsError,
    database_settings,
    env_int,
    env_str,
    parse_database_url,
)

URL = "postgresql://app:secret@db.example.com:6543/social"


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
def test_a_number_in_range_is_returned(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_LIFETIME", value)
    assert env_int("TOKEN_LIFETIME", minimum=60, maximum=600) == int(value)


@pytest.mark.parametrize("value", ["59", "601", "-60", "60.0", "1e2", "an hour", " 60", "0x60", "²"])
def test_anything_but_a_number_in_range_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_LIFETIME", value)
    with pytest.raises(SettingsError, match=r"^TOKEN_LIFETIME is not a whole number from 60 to 600$"):
        env_int("TOKEN_LIFETIME", minimum=60, maximum=600)


@pytest.mark.parametrize(("stage", "tls"), [("local", False), ("dev", True), ("", True)])
def test_the_environment_names_the_database_and_the_stage(
    stage: str, *, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@localhost/social")
    monkeypatch.setenv("STAGE", stage)
    assert database_settings() == parse_database_url("postgresql://app@localhost/social", local=not tls)
    assert database_settings().tls is tls


def test_a_database_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(SettingsError, match=r"^DATABASE_URL is not set: "):
        database_settings()


def test_a_url_with_every_part() -> None:
    url = "postgres://the%40app:p%40ss%2Fw%3Ard@db.example.com:6543/the%20base?sslrootcert=/ca.pem&auth=iam"
    assert parse_database_url(url, local=False) == DatabaseSettings(
        host="db.example.com",
        port=6543,
        name="the base",
        user="the@app",
        password="p@ss/w:rd",
        tls=True,
        ca="/ca.pem",
        iam=True,
        local=False,
    )


def test_a_url_with_the_necessary_parts_only() -> None:
    settings = parse_database_url("postgresql://app@db.example.com/social", local=False)
    assert (settings.port, settings.password, settings.ca, settings.iam) == (5432, None, None, False)


@pytest.mark.parametrize("port", ["65536", "-1", "port"])
def test_an_invalid_port_is_named(port: str) -> None:
    with pytest.raises(
        SettingsError, match=r"^DATABASE_URL has a port that is not a number from 0 to 65535$"
    ):
        parse_database_url(f"postgresql://app@db.example.com:{port}/social", local=False)


@pytest.mark.parametrize(
    "url",
    [
        "db.example.com",
        "mysql://app@db.example.com/social",
        "mysql+pymysql://app@db.example.com/social",
        "postgresql://db.example.com/social",
        "postgresql://app@/social",
        "postgresql:///social",
        "postgresql://app@db.example.com",
        "postgresql://app@db.example.com/",
    ],
)
def test_a_url_of_another_form_is_refused(url: str) -> None:
    expected = r"^DATABASE_URL is not of the form postgresql://user:password@host:port/database, "
    with pytest.raises(SettingsError, match=expected):
        parse_database_url(url, local=False)


@pytest.mark.parametrize("scheme", ["postgresql+psycopg2", "postgres+asyncpg", "postgresql+pg8000"])
def test_the_scheme_of_another_driver_is_corrected(scheme: str) -> None:
    database, driver = scheme.split("+")
    expected = rf"^DATABASE_URL names the driver {driver}: write {database}:// without a driver$"
    with pytest.raises(SettingsError, match=expected):
        parse_database_url(f"{scheme}://app:secret@db.example.com/social", local=True)


@pytest.mark.parametrize("password", ["{}secret", "sec{}ret", "secret{}", "p@{}secret", "p{}secret=1"])
@pytest.mark.parametrize("character", "#/?[]")
def test_an_unescaped_character_in_the_password_is_refused(character: str, password: str) -> None:
    url = f"postgresql://app:{password.format(character)}@db.example.com/social"
    with pytest.raises(SettingsError, match="percent-encode") as raised:
        parse_database_url(url, local=False)
    assert "cret" not in str(raised.value)


@pytest.mark.parametrize("password", ["p@ssword", "pass:word", "pass%word", "pass word"])
def test_a_password_with_another_special_character_is_accepted(password: str) -> None:
    settings = parse_database_url(f"postgresql://app:{password}@db.example.com/social", local=False)
    assert (settings.host, settings.password) == ("db.example.com", password)


@pytest.mark.parametrize("parameter", ["options", "sslMode", "connect_timeout", "password"])
@pytest.mark.parametrize("value", ["", "=", "=secret"])
def test_an_unknown_parameter_is_refused_by_name(parameter: str, value: str) -> None:
    expected = rf"^DATABASE_URL has the unknown parameter {parameter}: use only auth, sslmode, sslrootcert$"
    with pytest.raises(SettingsError, match=expected):
        parse_database_url(f"{URL}?sslrootcert=/ca.pem&{parameter}{value}", local=False)


def test_the_last_value_of_a_parameter_wins() -> None:
    url = f"{URL}?sslmode=disable&sslmode=verify-full"
    assert parse_database_url(url, local=True).tls


@pytest.mark.parametrize("value", ["", "password", "IAM"])
def test_another_value_of_auth_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match=r"^DATABASE_URL has an unknown value of auth: "):
        parse_database_url(f"{URL}?auth={value}", local=False)


@pytest.mark.parametrize(
    ("local", "host", "sslmode", "tls"),
    [
        (False, "db.example.com", None, True),
        (False, "localhost", None, True),
        (False, "localhost", "verify-full", True),
        (True, "db.example.com", None, True),
        (True, "localhost", None, False),
        (True, "127.0.0.1", None, False),
        (True, "[::1]", None, False),
        (True, "localhost", "verify-full", True),
        (True, "db.example.com", "disable", False),
    ],
)
def test_only_a_local_run_does_without_tls(*, local: bool, host: str, sslmode: str | None, tls: bool) -> None:
    option = f"?sslmode={sslmode}" if sslmode else ""
    assert parse_database_url(f"postgresql://app@{host}/social{option}", local=local).tls is tls


def test_a_deployed_function_does_not_turn_tls_off() -> None:
    with pytest.raises(SettingsError, match=r"^DATABASE_URL turns TLS off: .* STAGE=local only$"):
        parse_database_url(f"{URL}?sslmode=disable", local=False)


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("sslmode", ["allow", "prefer", "require", "verify-ca", "VERIFY-FULL"])
def test_tls_without_verification_is_always_refused(sslmode: str, *, local: bool) -> None:
    with pytest.raises(SettingsError, match=rf"^DATABASE_URL has sslmode={sslmode}: use verify-full"):
        parse_database_url(f"{URL}?sslmode={sslmode}", local=local)
