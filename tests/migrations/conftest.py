"""Databases to migrate."""

from collections.abc import Iterator

import pg8000.native
import pytest

from common.settings import parse_database_url
from local.postgres import Cluster, throwaway_cluster
from migrations.runner import migrate
from tests.support.database import Database, connect


@pytest.fixture
def empty_url(worker_database: Database) -> Iterator[str]:
    """Return the URL of an empty database. Its role is a superuser, as in the local run."""
    with worker_database.new_database() as url:
        yield url


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Return a PostgreSQL server for tests of roles, which all databases of a server share."""
    with throwaway_cluster() as started:
        started.execute("CREATE ROLE migrator LOGIN CREATEROLE CREATEDB")
        yield started


@pytest.fixture
def migrator_url(cluster: Cluster) -> Iterator[str]:
    """Return the URL of an empty database. Its role is no superuser but owns the database, as on AWS."""
    cluster.execute("CREATE DATABASE social OWNER migrator")
    yield cluster.url("social").replace("postgres@", "migrator@")
    cluster.execute("DROP DATABASE social WITH (FORCE)")


@pytest.fixture
def app(migrator_url: str) -> Iterator[pg8000.native.Connection]:
    """Return a connection to a migrated database with the role of the functions."""
    migrate(parse_database_url(migrator_url, local=True), manages_roles=True)
    connection = connect(migrator_url.replace("migrator@", "app@"))
    yield connection
    connection.close()
