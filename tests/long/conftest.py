"""A system that tests can break: PostgreSQL, PgBouncer in front of it, and the local gateway."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import local.postgres.cluster
from common.connection import PLANNER_SETTINGS, TIME_LIMITS
from common.keys import Key, parse_keys
from local.postgres import Cluster
from local.postgres.data_directory import temporary_directory
from tests.long.system import System
from tests.support import pgbouncer
from tests.support.database import Database
from tests.support.local_gateway import local_gateway
from tests.support.pgbouncer import PgBouncer, pooler

HERE = Path(__file__).parent
DATABASE = "social"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this directory."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def key() -> Key:
    """Return the key that signs tokens."""
    return parse_keys(os.environ["JWT_KEYS"])[-1]


@pytest.fixture(scope="session")
def has_pooler() -> bool:
    """Return True, or skip the test and say how to install PgBouncer."""
    if pgbouncer.program() is None:
        pytest.skip(pgbouncer.INSTALL_HINT)
    return True


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Return a PostgreSQL server that keeps its data and its port over a restart."""
    directory = temporary_directory()
    port = local.postgres.cluster._free_port()  # noqa: SLF001  # a restart must reuse it
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr(local.postgres.cluster, "_free_port", lambda: port)
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        yield stack.enter_context(Cluster(directory))


@pytest.fixture(scope="module", params=["pooled", "direct"])
def system(
    request: pytest.FixtureRequest, cluster: Cluster, key: Key, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """Return the gateway on a database with accounts, with and without PgBouncer in between."""
    cluster.create_database(DATABASE)
    url = cluster.url(DATABASE)
    with ExitStack() as stack:
        pooled: PgBouncer | None = None
        if request.param == "pooled":
            request.getfixturevalue("has_pooler")
            pooled = stack.enter_context(pooler(url, size=10))
        log = tmp_path_factory.mktemp("gateway") / "log"
        gateway = stack.enter_context(local_gateway(pooled.url() if pooled else url, log))
        for name, value in (TIME_LIMITS | PLANNER_SETTINGS).items():  # which PgBouncer does not pass on
            cluster.execute(f"ALTER DATABASE {DATABASE} SET {name} = '{value}'")
        with Database(url) as database:
            system = System(cluster, pooled, gateway, url, key)
            system.populate(database)
        yield system
