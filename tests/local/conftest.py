"""The sample project: each test gets a new copy."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.gateway.template import load_api
from local.postgres.data_directory import cluster_directory
from tests.local.sample import write_project

ROOT = Path(__file__).parents[2]
LAYER = Path("layers/common/python/common")
# The modules that check settings and connect to the database.
COPIED = (
    *(LAYER / f"{name}.py" for name in ("aws", "connection", "errors", "keys", "settings", "signing", "tls")),
    Path("migrations/connect.py"),
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path)


@pytest.fixture(scope="session")
def translated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory in which the gateway keeps the sample's template after the first start."""
    template = write_project(tmp_path_factory.mktemp("sample")) / "template.yaml"
    load_api(template, {"Stage": "local", "CorsOrigin": "*"})
    return template.parent / ".local"


@pytest.fixture
def clone(project: Path, translated: Path) -> Iterator[Path]:
    """Return the sample project with a copy of the local run and with empty migrations.

    The copy has bytecode and the translated template, because most tests would otherwise wait for both.
    """
    # Without what other processes are writing at this moment.
    shutil.copytree(ROOT / "local", project / "local", ignore=shutil.ignore_patterns("*.pyc.*"))
    shutil.copytree(translated, project / ".local")
    (project / "migrations").mkdir()
    for file in COPIED:
        shutil.copy(ROOT / file, project / file)
    (project / "migrations" / "runner.py").write_text("def migrate(settings): pass\n")
    yield project
    shutil.rmtree(cluster_directory(project), ignore_errors=True)


@pytest.fixture
def database() -> Iterator[str]:
    """Return the URL of a server that accepts connections and does nothing else."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"postgresql://user@127.0.0.1:{listener.getsockname()[1]}/social"
