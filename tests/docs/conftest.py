"""A local run for the requests in the pages."""

from collections.abc import Iterator

import pytest

from tests.support.database import Database
from tests.support.local_gateway import local_gateway


@pytest.fixture(scope="module")
def api(worker_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of an API with an empty database, because a new developer starts with one."""
    log = tmp_path_factory.mktemp("api") / "log"
    with pytest.MonkeyPatch.context() as patch, worker_database.new_database() as url:
        # Every origin may read responses, as under `make dev`.
        patch.delenv("CORS_ORIGIN")
        with local_gateway(url, log) as run:
            yield run.url
