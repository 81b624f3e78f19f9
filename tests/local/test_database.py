"""When a database cannot be migrated, the error is one line that says what to do."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local.database import migrate
from local.errors import LocalRunError
from tests.support.database import Database, connect


@pytest.fixture
def url(worker_database: Database) -> Iterator[str]:
    """Return the URL of an empty database."""
    name = f"{worker_database.value('SELECT current_database()')}_local"
    worker_database.run(f"CREATE DATABASE {name}")
    yield urlsplit(worker_database.url)._replace(path=f"/{name}").geturl()
    worker_database.run(f"DROP DATABASE {name} WITH (FORCE)")


def failure(url: str) -> str:
    with pytest.raises(LocalRunError) as raised:
        migrate(url)
    [line] = str(raised.value).splitlines()
    return line


def test_a_missing_certificate_file(url: str, tmp_path: Path) -> None:
    file = tmp_path / "authority.pem"
    expected = f": cannot read certificates from {file}, which sslrootcert in DATABASE_URL names: "
    line = failure(f"{url}?sslmode=verify-full&sslrootcert={file}")
    assert line.endswith(f"{expected}No such file or directory")
    file.write_text("not a certificate")
    assert expected in failure(f"{url}?sslmode=verify-full&sslrootcert={file}")


def test_a_server_without_tls(url: str) -> None:
    assert " refuses TLS: " in failure(f"{url}?sslmode=verify-full")


def test_the_tables_of_another_application(url: str) -> None:
    with connect(url) as connection:
        connection.run("CREATE TABLE customers (id integer)")
    assert failure(url).endswith(" has tables of another application (customers): use an empty database")
