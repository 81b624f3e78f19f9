"""TLS: connections to the database are encrypted, and the server's certificate is verified."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from common import aws
from common.database import ManagedConnection
from common.errors import UnavailableError
from common.settings import SettingsError, parse_database_url
from tests.support.certificates import Authority
from tests.support.connections import run_sql
from tests.support.database import Database
from tests.support.postgres_proxy import PostgresProxy

SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"


class EncryptedProxy(PostgresProxy):
    """A proxy that accepts TLS connections, or that refuses TLS."""

    def __init__(self, url: str, context: ssl.SSLContext | None) -> None:
        super().__init__(url)
        self._context = context
        self.plain = b""

    def _serve(self, client: socket.socket) -> None:
        assert client.recv(8) == SSL_REQUEST
        if self._context is None:
            with client:
                client.sendall(b"N")
                self.plain = client.recv(65536)
            return
        client.sendall(b"S")
        try:
            encrypted = self._context.wrap_socket(client, server_side=True)
        except ssl.SSLError:
            client.close()
        else:
            super()._serve(encrypted)


@pytest.fixture
def authority() -> Authority:
    """Return the authority that we trust."""
    return Authority()


@pytest.fixture
def trusting(authority: Authority) -> Iterator[str]:
    """Return the TLS options of a database URL."""
    with authority.file() as path:
        yield f"?sslmode=verify-full&sslrootcert={path}"


def connection_to(proxy: PostgresProxy, options: str) -> ManagedConnection:
    url = proxy.url.replace("127.0.0.1", "localhost") + options
    return ManagedConnection(parse_database_url(url, local=True))


def test_statements_run_over_one_encrypted_connection(
    authority: Authority, trusting: str, database: Database
) -> None:
    with EncryptedProxy(database.url, authority.server_context("localhost")).running() as proxy:
        connection = connection_to(proxy, trusting)
        for number in (1, 2, 3):
            assert run_sql(connection, "SELECT $1::integer", number) == [[number]]
        connection.disconnect()
    assert proxy.connections == 1
    assert len(proxy.statements) == 3


@pytest.mark.parametrize("host", ["localhost", "elsewhere"])
def test_a_server_without_a_valid_certificate_receives_nothing(
    host: str, authority: Authority, trusting: str, database: Database
) -> None:
    signer = authority if host == "elsewhere" else Authority()
    with EncryptedProxy(database.url, signer.server_context(host)).running() as proxy:
        connection = connection_to(proxy, trusting)
        with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
            run_sql(connection, "SELECT 1")
    assert proxy.messages == []


def test_a_server_without_tls_receives_nothing(trusting: str, database: Database) -> None:
    proxy = EncryptedProxy(database.url, None)
    with proxy.running():
        connection = connection_to(proxy, trusting)
        with pytest.raises(UnavailableError):
            run_sql(connection, "SELECT 1")
    assert proxy.plain == b""


def test_a_function_without_its_certificate_file_fails_during_init(tmp_path: Path) -> None:
    file = tmp_path / "authority.pem"
    settings = parse_database_url(f"postgresql://app@localhost/social?sslrootcert={file}", local=False)
    with pytest.raises(
        SettingsError, match=rf"^cannot read certificates from {file}, .*: No such file or directory$"
    ):
        ManagedConnection(settings)


def test_the_password_can_be_an_iam_token(
    authority: Authority, trusting: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = []

    def sign(*address: object) -> str:
        signed.append(address)
        raise aws.AwsError("no credentials")

    monkeypatch.setattr(aws, "rds_auth_token", sign)
    with EncryptedProxy(database.url, authority.server_context("localhost")).running() as proxy:
        connection = connection_to(proxy, f"{trusting}&auth=iam")
        with pytest.raises(UnavailableError, match="no credentials"):
            run_sql(connection, "SELECT 1")
        monkeypatch.setattr(aws, "rds_auth_token", lambda *_: "token")
        assert run_sql(connection, "SELECT 1") == [[1]]
        connection.disconnect()
        assert signed == [("localhost", connection.settings.port, "postgres")] * 2
