"""A local run of its own for the pages to talk to."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.support.data import Database
from tests.support.served import served


@pytest.fixture(scope="module")
def api(worker_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of the API, on a database that nobody has used before, as a new developer's is."""
    with _new_database(worker_database) as url, served(url, tmp_path_factory.mktemp("api") / "log") as run:
        yield run.url


@contextmanager
def _new_database(beside: Database) -> Iterator[str]:
    name = f"docs_{uuid.uuid4().hex}"
    beside.run(f"CREATE DATABASE {name}")
    try:
        yield urlsplit(beside.url)._replace(path=f"/{name}").geturl()
    finally:
        beside.run(f"DROP DATABASE {name} WITH (FORCE)")
