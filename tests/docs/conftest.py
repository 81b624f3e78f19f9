"""A local run for the requests in the pages."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.support.database import Database
from tests.support.local_gateway import local_gateway


@pytest.fixture(scope="module")
def api(worker_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of an API with an empty database, because a new developer starts with one."""
    with (
        _new_database(worker_database) as url,
        local_gateway(url, tmp_path_factory.mktemp("api") / "log") as run,
    ):
        yield run.url


@contextmanager
def _new_database(server: Database) -> Iterator[str]:
    name = f"docs_{uuid.uuid4().hex}"
    server.run(f"CREATE DATABASE {name}")
    try:
        yield urlsplit(server.url)._replace(path=f"/{name}").geturl()
    finally:
        server.run(f"DROP DATABASE {name} WITH (FORCE)")
