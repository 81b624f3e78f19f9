"""A database to migrate."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.support.data import Database


@pytest.fixture
def empty_url(worker_database: Database) -> Iterator[str]:
    """Return the URL of a database with nothing in it, which is dropped afterwards."""
    name = f"{worker_database.value('SELECT current_database()')}_empty"
    worker_database.run(f"CREATE DATABASE {name}")
    yield urlsplit(worker_database.url)._replace(path=f"/{name}").geturl()
    worker_database.run(f"DROP DATABASE {name}")
