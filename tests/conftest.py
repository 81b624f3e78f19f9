"""What every test needs: one PostgreSQL for the session, with a database for each worker."""

import gc
import importlib
import json
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import hypothesis
import pytest
from xdist.plugin import (  # type: ignore[import-untyped]
    pytest_xdist_auto_num_workers as default_num_workers,
)
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from local.database import migrate
from local.mail import Mailbox, ses
from local.postgres import Cluster, throwaway_cluster
from tests.support.database import Database

ROOT = Path(__file__).parents[1]
TEMPLATE = "template_migrated"
CLUSTER = pytest.StashKey[Cluster]()
LONG_TIMEOUT_SECONDS = 900
# Tests that share a gateway, artefacts, the translated template, the modules that each function imports,
# compiled statements, moto, which takes seconds to import, or a PostgreSQL server of their own.
GROUPS = (
    "tests/aws/",
    "tests/contract/",
    "tests/local/postgres/",
    "tests/migrations/",
    "tests/sam_build/",
    "tests/template/",
    "tests/test_architecture.py",
    "tests/handlers/test_bounded_lists.py",
)
# These run functions in other processes, or none, or send thousands of requests to lines that other tests
# cover. Tracing this process would only slow them down: without it, they take two thirds of the time.
NOT_TRACED = (
    "tests/contract/",
    "tests/database/test_one_against_all.py",
    "tests/database/test_storms.py",
    "tests/database/test_visibility.py",
    "tests/docs/",
    "tests/handlers/test_bad_input.py::test_no_",
    "tests/handlers/test_model.py",
    "tests/local/",
    "tests/migrations/",
    "tests/sam_build/",
    "tests/template/",
    "tests/test_architecture.py",
)
# Files and directories whose tests are all long. What they import takes seconds of each worker.
ONLY_LONG = ("tests/docs/test_browser.py", "tests/docs/test_web_example.py", "tests/long")
# The functions read these variables when they are imported. Each process adds its DATABASE_URL.
ENVIRONMENT = {
    "STAGE": "local",
    "CORS_ORIGIN": "https://app.example.com",
    "JWT_KEYS": json.dumps({"2026-01": "1" * 32, "2026-02": "2" * 32}),
    "PASSWORD_POLICY": "reference",
    "TOKEN_LIFETIME": "1800",
    "POSTS_PER_DAY": "20000",
    "PROFILE_CHANGES_PER_DAY": "2000",
    "REFRESHES_PER_DAY": "50000",
    "VOTES_PER_DAY": "500000",
    "POWERTOOLS_SERVICE_NAME": "social",
    "POWERTOOLS_METRICS_NAMESPACE": "social",
    "POWERTOOLS_LOG_LEVEL": "INFO",
}

# No deadline, because a slow machine is not a failure. A failing example is printed as code that repeats it.
hypothesis.settings.register_profile("suite", deadline=None, database=None, print_blob=True)
hypothesis.settings.load_profile("suite")


class Node(Protocol):
    """The part of xdist's controller of a worker that is used here."""

    config: pytest.Config
    gateway: "Gateway"
    workerinput: dict[str, str]


class Gateway(Protocol):
    """The part of execnet's connection to a worker that is used here."""

    id: str


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Run a single file in this process: workers would take longer to start than its tests to run.

    Otherwise, start one worker more than there are cores, because a worker often waits for PostgreSQL or for
    another process.
    """
    is_single_file = len(config.args) == 1 and ".py" in config.args[0]
    return 0 if is_single_file else default_num_workers(config) + 1


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file of long tests if long tests do not run."""
    is_long = os.path.relpath(collection_path, config.rootpath) in ONLY_LONG
    return True if is_long and config.option.markexpr == "not long" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Import the tests without the garbage collector and coverage, which would take half of the time.

    Modules and tests stay until the end, so the collector ignores them from then on.
    """
    gc.disable()
    coverage = session.config.pluginmanager.getplugin("_cov")
    controller = coverage and coverage.cov_controller
    if controller:
        # Coverage has to see the modules that it measures when they are imported.
        for path in (*ROOT.glob("functions/*/*.py"), *ROOT.glob("layers/common/python/common/*.py")):
            importlib.import_module(f"{path.parent.name}.{path.stem}")
        controller.pause()
    try:
        return (yield)
    finally:
        if controller:
            controller.resume()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give long tests a longer timeout than the one in pyproject.toml, and choose what coverage traces."""
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.timeout(LONG_TIMEOUT_SECONDS))
        if item.nodeid.startswith(NOT_TRACED):
            item.add_marker(pytest.mark.no_cover)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Start PostgreSQL once, and point the functions at a database before they are imported."""
    config = session.config
    url = getattr(config, "workerinput", {}).get("database_url") or _start_postgres(config)
    os.environ.update(ENVIRONMENT, DATABASE_URL=url)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Node) -> None:
    """Give an xdist worker its database."""
    node.workerinput["database_url"] = _create_database(node.config.stash[CLUSTER], node.gateway.id)


class Groups(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Distributes tests one by one, but all tests of a group to one worker, so that it prepares them once.

    Groups are distributed first, the largest first. The marker `xdist_group` would do the same, but xdist 3.8
    ignores it under pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((group for group in GROUPS if nodeid.startswith(group)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Groups:
    """Choose how tests are distributed over the workers."""
    return Groups(config, log)


def _start_postgres(config: pytest.Config) -> str:
    stack = ExitStack()
    config.add_cleanup(stack.close)
    cluster = config.stash[CLUSTER] = stack.enter_context(throwaway_cluster())
    cluster.create_database(TEMPLATE)
    migrate(cluster.url(TEMPLATE))
    # Ids of users and of posts do not overlap, so that a statement that confuses them finds nothing.
    cluster.execute("ALTER SEQUENCE posts_id_seq RESTART 1000000", TEMPLATE)
    return _create_database(cluster, "main")


def _create_database(cluster: Cluster, name: str) -> str:
    cluster.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    return cluster.url(name)


@pytest.fixture(scope="session")
def worker_database() -> Iterator[Database]:
    """Return the database of this worker, with the rows that the last test left in it."""
    from common.database import managed_connection  # noqa: PLC0415  # its logger reads the environment

    with Database(os.environ["DATABASE_URL"]) as connected:
        yield connected
    managed_connection().disconnect()


@pytest.fixture
def database(worker_database: Database) -> Database:
    """Return the database of this worker, empty, and set the deadline as at the start of an invocation."""
    # These modules read the environment when they are imported.
    from common import deadline  # noqa: PLC0415
    from tests.support.lambdas import Context  # noqa: PLC0415

    worker_database.empty()
    deadline.start(Context())
    return worker_database


@pytest.fixture
def mailbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """Let the functions send mail; return the mailbox in which a stand-in for SES keeps it."""
    box = Mailbox(tmp_path / "mail")
    with ses(box, lambda _line: None) as url:
        variables = {
            "MAIL_FROM": "app@example.com",
            "APP_URL": "https://app.example.com/account",
            "AWS_ENDPOINT_URL_SESV2": url,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "AWS_REGION": "eu-central-1",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield box
