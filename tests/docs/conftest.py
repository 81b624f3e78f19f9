"""A local run for the requests in the pages."""

from collections.abc import Iterator

import pytest

from tests.support.database import Database
from tests.support.local_gateway import local_gateway


@pytest.fixture(scope="module")
def api(worker_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of an API with an empty database, because a new developer starts with one."""
    with (
        worker_database.new_database() as url,
        local_gateway(url, tmp_path_factory.mktemp("api") / "log") as run,
    ):
        yield run.url
