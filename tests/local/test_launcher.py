"""`python -m local` as a developer runs it: output, exit codes, processes and files."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from local.postgres.data_directory import cluster_directory
from tests.support.processes import alive, until


def environment(**variables: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PORT": "0"} | variables


def run(clone: Path, command: str, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local", command],
        cwd=clone,
        env=environment(**variables),
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Session:
    """A running `serve`."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url

    def get(self, **query: str) -> httpx.Response:
        return httpx.get(f"{self.url}/open", params=query, timeout=30)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(20)

    def press_ctrl_c(self) -> int:
        """Signal the whole process group, as a terminal does."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(20)


@contextmanager
def serving(clone: Path, **variables: str) -> Iterator[Session]:
    with (
        (clone / "errors.log").open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "local", "serve"],
            cwd=clone,
            env=environment(**variables),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("Ready on http://127.0.0.1:"), (clone / "errors.log").read_text()
        try:
            yield Session(process, line.split()[-1])
        finally:
            process.kill()


def test_data_survives_a_restart_but_not_a_reset(clone: Path) -> None:
    with serving(clone) as session:
        assert session.get().status_code == 200
        run(clone, "psql", "CREATE TABLE t AS SELECT 5 AS n;")
        assert "does not exist" not in run(clone, "psql", "SELECT n FROM t;").stderr
        again = run(clone, "serve")
        assert again.returncode == 1
        assert one_line(again.stderr).endswith(
            "is in use; this project is already being served: stop its `make dev` first"
        )
        url = session.get(do="environment").json()["variables"]["DATABASE_URL"]
        assert url.endswith("/social")
        assert session.stop() == 0
    assert not accepts(url)
    with serving(clone) as session:
        assert "5" in run(clone, "psql", "SELECT n FROM t;").stdout
        assert session.stop() == 0
    reset = run(clone, "reset")
    assert reset.returncode == 0
    assert reset.stdout.startswith(
        f"Deleted the database in {cluster_directory(clone)}.\nDeleted the token key"
    )
    assert not cluster_directory(clone).exists()
    with serving(clone) as session:
        assert 'relation "t" does not exist' in run(clone, "psql", "SELECT n FROM t;").stderr
        assert session.stop() == 0


def test_a_restart_keeps_the_token_key(clone: Path, database: str) -> None:
    def keys() -> str:
        with serving(clone, DATABASE_URL=database) as session:
            headers = {"Authorization": "good"}
            httpx.get(f"{session.url}/things/1", headers=headers).raise_for_status()
            assert session.stop() == 0
        return (clone / ".local" / "jwt_keys.json").read_text()

    assert keys() == keys()
    # No database was created, because DATABASE_URL was set.
    deleted = "There is no database to delete.\nDeleted the token key: all users have to log in again.\n"
    assert run(clone, "reset").stdout == deleted
    assert not (clone / ".local" / "jwt_keys.json").exists()


def test_settings_in_a_file(clone: Path, database: str) -> None:
    (clone / ".env").write_text(f"DATABASE_URL={database}\nCORS_ORIGIN=https://app.example.org\n")
    with serving(clone) as session:
        assert session.get(do="environment").json()["variables"]["DATABASE_URL"] == database
        preflight = httpx.options(f"{session.url}/open")
        assert preflight.headers["access-control-allow-origin"] == "https://app.example.org"


def test_mail_is_printed_and_shown_until_a_reset(clone: Path, database: str) -> None:
    mail = {
        "FromEmailAddress": "app@example.com",
        "Destination": {"ToAddresses": ["ann@example.org"]},
        "Content": {
            "Simple": {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "https://a.example/#t"}}}
        },
    }
    with serving(clone, DATABASE_URL=database) as session:
        url = session.get(do="environment").json()["variables"]["AWS_ENDPOINT_URL_SESV2"]
        httpx.post(f"{url}/v2/email/outbound-emails", json=mail).raise_for_status()
        assert "Hi" in httpx.get(f"{session.url}/_mail").text
        assert session.stop() == 0
    assert "mail to ann@example.org: Hi https://a.example/#t\n" in (clone / "errors.log").read_text()
    assert len(list((clone / ".local" / "mail").glob("*.eml"))) == 1
    assert run(clone, "reset").stdout.endswith("Deleted the mails.\n")
    assert not (clone / ".local" / "mail").exists()


def test_the_ready_lines_say_what_to_do_next(clone: Path, database: str) -> None:
    with serving(clone, DATABASE_URL=database) as session:
        assert session.process.stdout
        line = session.process.stdout.readline()
        assert line == f"Documentation: {session.url}/docs. Demo data: `make seed`. End: Ctrl-C.\n"


def test_a_killed_session_leaves_no_process_and_the_next_starts(clone: Path) -> None:
    with serving(clone) as session:
        variables = session.get(do="environment").json()
        session.process.kill()
    until(lambda: not alive(variables["pid"]) and not accepts(variables["variables"]["DATABASE_URL"]))
    with serving(clone) as session:
        assert session.get().status_code == 200
        assert session.stop() == 0


@pytest.mark.parametrize("stop", [Session.stop, Session.press_ctrl_c])
def test_running_requests_finish_after_a_signal(
    clone: Path, database: str, stop: Callable[[Session], int]
) -> None:
    responses: list[httpx.Response] = []
    with serving(clone, DATABASE_URL=database) as session:
        pid = session.get(do="environment").json()["pid"]
        mark = clone / "mark"
        query = {"do": "sleep", "seconds": "0.5", "mark": str(mark)}
        request = threading.Thread(target=lambda: responses.append(session.get(**query)))
        request.start()
        until(mark.exists)
        assert stop(session) == 0
        request.join()
        assert not alive(pid)
    assert responses[0].json() == "slept"


def test_the_interface_is_the_loopback_one_and_the_settings_reach_the_functions(
    clone: Path, database: str
) -> None:
    with serving(clone, DATABASE_URL=database, SECRET="leaked") as session:
        variables = session.get(do="environment").json()["variables"]
        assert variables["DATABASE_URL"] == database
        assert "SECRET" not in variables
        assert "PORT" not in variables
        spoofed = httpx.get(f"{session.url}/open", headers={"X-Forwarded-For": "203.0.113.9"}).json()
        assert spoofed["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"


def one_line(text: str) -> str:
    (line,) = text.splitlines()
    assert line.startswith("error: ")
    return line


def accepts(url: str) -> bool:
    port = int(url.rpartition(":")[2].partition("/")[0])
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_a_taken_port(clone: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        failed = run(clone, "serve", PORT=port)
    assert failed.returncode == 1
    assert (
        one_line(failed.stderr)
        == f"error: cannot listen on port {port}: Address already in use; set PORT to another"
    )
    assert not cluster_directory(clone).exists()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"PORT": "http"}, "PORT is 'http'"),
        ({"DATABASE_URL": "localhost/social"}, "DATABASE_URL is not of the form"),
        (
            {"DATABASE_URL": "postgresql://u@127.0.0.1:1/social"},
            "cannot connect to a database at 127.0.0.1:1: Connection refused",
        ),
        (
            {"DATABASE_URL": "postgresql://u@nowhere.invalid/social"},
            "cannot connect to a database at nowhere.invalid:5432: ",
        ),
        ({"JWT_KEYS": '{"a": "short"}'}, "JWT_KEYS has a key shorter than 32 bytes: a"),
        ({"JWT_KEYS": "{"}, "JWT_KEYS is not JSON"),
        ({"DATABASE_URL": "postgresql://127.0.0.1/social"}, "DATABASE_URL is not of the form"),
        ({"DATABASE_URL": "postgresql://u@127.0.0.1/social?sslmode=require"}, "DATABASE_URL has sslmode="),
    ],
)
def test_a_wrong_setting(clone: Path, variables: dict[str, str], message: str) -> None:
    failed = run(clone, "serve", **variables)
    assert failed.returncode == 1
    assert message in one_line(failed.stderr)
    assert not failed.stdout


def test_a_migration_that_fails(clone: Path, database: str) -> None:
    (clone / "migrations" / "runner.py").write_text(
        "def migrate(settings):\n"
        "    try:\n"
        "        raise RuntimeError({'S': 'FATAL', 'M': 'no such role'})\n"
        "    except RuntimeError as error:\n"
        "        raise ValueError('first\\nsecond') from error\n"
    )
    failed = run(clone, "serve", DATABASE_URL=database)
    assert failed.returncode == 1
    assert one_line(failed.stderr).endswith(": no such role")
    (clone / "migrations" / "runner.py").write_text(
        "def migrate(settings): raise ValueError('first\\nsecond')\n"
    )
    assert one_line(run(clone, "serve", DATABASE_URL=database).stderr).endswith(": first")
    (clone / "migrations" / "runner.py").write_text(
        "from alembic.script.revision import MultipleHeads\n"
        "def migrate(settings): raise ValueError('a long text of alembic') from MultipleHeads((), None)\n"
    )
    message = one_line(run(clone, "serve", DATABASE_URL=database).stderr)
    assert "two files in migrations/versions have the same down_revision" in message


def test_seed_needs_a_database_with_tls(clone: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = threading.Thread(target=lambda: refuse_tls(listener))
        refusing.start()
        url = f"postgresql://u@127.0.0.1:{listener.getsockname()[1]}/social?sslmode=verify-full"
        failed = run(clone, "seed", DATABASE_URL=url)
        refusing.join()
    assert failed.returncode == 1
    assert one_line(failed.stderr).startswith("error: cannot connect to social: the server at 127.0.0.1:")
    assert "sslmode=disable" in failed.stderr


def refuse_tls(listener: socket.socket) -> None:
    client, _ = listener.accept()
    with client:
        client.recv(8)
        client.sendall(b"N")


def test_a_template_that_cannot_be_read(clone: Path, database: str) -> None:
    (clone / "template.yaml").write_text("a: [")
    failed = run(clone, "serve", DATABASE_URL=database)
    assert failed.returncode == 1
    assert "template.yaml" in one_line(failed.stderr)


@pytest.mark.parametrize("command", ["reset", "psql"])
def test_commands_without_a_database(clone: Path, command: str) -> None:
    result = run(clone, command)
    if command == "reset":
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout == "There is no database to delete.\n"
    else:
        assert result.returncode == 1
        assert one_line(result.stderr) == "error: the database is not running; start it with `make dev`"


def test_reset_does_not_touch_the_database_at_database_url(clone: Path, database: str) -> None:
    refused = run(clone, "reset", DATABASE_URL=database)
    assert refused.returncode == 1
    assert "DATABASE_URL is set" in one_line(refused.stderr)


def test_a_signal_during_the_start(clone: Path) -> None:
    (clone / "migrations" / "runner.py").write_text(
        "import sys, time\ndef migrate(settings): print('migrating', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "local", "serve"],
        cwd=clone,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "migrating\n"
        process.terminate()
        assert process.wait(20) == 0
        assert not process.stderr.read()


def odd_requests() -> list[bytes]:
    host = b"Host: localhost\r\nConnection: close\r\n\r\n"
    return [
        b"GET // HTTP/1.1\r\n" + host,
        b"GET /../../etc/passwd HTTP/1.1\r\n" + host,
        b"GET /%00%zz%ff HTTP/1.1\r\n" + host,
        b"GET http://elsewhere/open HTTP/1.1\r\n" + host,
        b"OPTIONS * HTTP/1.1\r\n" + host,
        b"BREW /open?%zz=%00&;;== HTTP/1.1\r\n" + host,
        b"GET /open HTTP/1.0\r\n\r\n",
        b"GET /things/1 HTTP/1.1\r\nAuthorization: " + b"a" * 100_000 + b"\r\n" + host,
        b"GET /open HTTP/1.1\r\nContent-Length: -1\r\n" + host,
        b"POST /open HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n" + host,
        b"POST /open HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n",
        b"GET /open\r\n\r\n",
        b"\x00\xff\r\n\r\n",
        b"GET /open HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: a\r\n" + host,
    ]


def exchange(address: tuple[str, int], request: bytes) -> bytes:
    response = b""
    with socket.create_connection(address, 20) as client:
        client.sendall(request)
        while chunk := client.recv(65536):
            response += chunk
    return response


def test_malformed_requests(clone: Path, database: str) -> None:
    with serving(clone, DATABASE_URL=database) as session:
        address = ("127.0.0.1", httpx.URL(session.url).port or 0)
        for request in odd_requests():
            response = exchange(address, request)
            assert response.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4")), request[:100]
            assert b"Traceback" not in response
        # The server does not read this to the end, so the connection may break before the response.
        with suppress(ConnectionError):
            exchange(address, b"GET /open HTTP/1.1\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n")
        assert session.get().status_code == 200
        assert session.stop() == 0
    assert "Traceback" not in (clone / "errors.log").read_text()
