"""Connections for migrations: what they set, and what the errors say."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from common.settings import SettingsError, parse_database_url
from migrations.connect import engine
from migrations.runner import migrate
from tests.support.certificates import Authority
from tests.support.database import OTHER_DEFAULTS, Database


@contextmanager
def server_that_refuses_tls() -> Iterator[int]:
    """Run a server that refuses TLS to one client; give its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(8)
                client.sendall(b"N")

        thread = threading.Thread(target=refuse)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@contextmanager
def server_with_certificate_of(authority: Authority) -> Iterator[int]:
    """Run a server that accepts TLS from one client; give its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            client.recv(8)
            client.sendall(b"S")
            with pytest.raises(OSError, match="UNKNOWN_CA"):
                authority.server_context("localhost").wrap_socket(client, server_side=True)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_the_session_does_not_depend_on_the_defaults_of_the_database(
    empty_url: str, worker_database: Database
) -> None:
    name = urlsplit(empty_url).path.strip("/")
    for setting, value in OTHER_DEFAULTS.items():
        worker_database.run(f"ALTER DATABASE {name} SET {setting} = '{value}'")
    with engine(parse_database_url(empty_url, local=True)).connect() as connection:
        assert connection.scalar(text("SELECT length('é')")) == 1
        assert connection.scalar(text("SELECT CAST(CAST('2026-02-01 10:00Z' AS timestamptz) AS text)")) == (
            "2026-02-01 10:00:00+00"
        )


def test_a_database_that_is_not_in_utf8_is_not_migrated(worker_database: Database) -> None:
    name = f"{worker_database.value('SELECT current_database()')}_sql_ascii"
    worker_database.run(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'"
    )
    url = urlsplit(worker_database.url)._replace(path=f"/{name}").geturl()
    try:
        with pytest.raises(
            SettingsError, match=rf"^the database {name} has the encoding SQL_ASCII: create one"
        ):
            migrate(parse_database_url(url, local=True))
    finally:
        worker_database.run(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_server_without_tls_is_named_with_what_to_write() -> None:
    with server_that_refuses_tls() as port:
        settings = parse_database_url(
            f"postgresql://app@localhost:{port}/social?sslmode=verify-full", local=True
        )
        expected = rf"^the server at localhost:{port} refuses TLS: .* sslmode=disable"
        with pytest.raises(SettingsError, match=expected):
            migrate(settings, seconds=5)


def test_an_unknown_certificate_is_named_with_what_to_write() -> None:
    with server_with_certificate_of(Authority()) as port:
        settings = parse_database_url(
            f"postgresql://app@localhost:{port}/social?sslmode=verify-full", local=True
        )
        expected = rf"^the certificate of the server at localhost:{port} is not trusted: .* sslrootcert"
        with pytest.raises(SettingsError, match=expected):
            migrate(settings, seconds=5)
