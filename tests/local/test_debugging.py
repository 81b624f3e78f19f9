"""Debug mode as a developer uses it: pdb in a terminal, and an editor that attaches."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.local.test_launcher import environment, serving

if TYPE_CHECKING:
    from io import BufferedRWPair

SECONDS = 60
# The timeout of the sample's functions is one second.
LONGER_THAN_THE_TIMEOUT = 1.5
Message = dict[str, Any]


class Terminal:
    """A terminal in which `python -m local debug` runs."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self.descriptor = descriptor
        self._text = ""

    def read_until(self, expected: str) -> str:
        """Return what the terminal shows up to the expected text, without what was returned already."""
        deadline = time.monotonic() + SECONDS
        while expected not in self._text:
            assert time.monotonic() < deadline, self._text
            if select.select([self.descriptor], [], [], 0.1)[0]:
                self._text += os.read(self.descriptor, 65536).decode()
        shown, _, self._text = self._text.partition(expected)
        return shown + expected

    def type(self, line: str) -> None:
        os.write(self.descriptor, f"{line}\n".encode())

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.descriptor)[3] & termios.ECHO)


@contextmanager
def debugging(clone: Path, **variables: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-X", "frozen_modules=off", "-m", "local", "debug"],
        cwd=clone,
        env=environment(TERM="dumb", **variables),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        try:
            yield Terminal(process, ours)
        finally:
            process.kill()
            os.close(ours)
            os.close(theirs)


def url_in(shown: str) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+", shown)
    assert found, shown
    return found[0]


@contextmanager
def request_of(url: str, **query: str) -> Iterator[list[httpx.Response]]:
    """Send a request in a thread; the list has its response after the block."""
    responses: list[httpx.Response] = []

    def send() -> None:
        responses.append(httpx.get(f"{url}/open", params=query, timeout=SECONDS))

    thread = threading.Thread(target=send)
    thread.start()
    yield responses
    thread.join()


def test_a_breakpoint_stops_in_the_terminal(clone: Path, database: str) -> None:
    with debugging(clone, DATABASE_URL=database) as terminal:
        url = url_in(terminal.read_until("Ctrl-C."))
        with request_of(url, do="breakpoint") as first, request_of(url, do="breakpoint") as second:
            for answer in ("first", "second"):
                # The other request waits, because only one function can read from the terminal.
                assert "functions/echo/handler.py" in terminal.read_until("(Pdb) ")
                time.sleep(LONGER_THAN_THE_TIMEOUT)
                terminal.type("p query['do']")
                assert "'breakpoint'" in terminal.read_until("(Pdb) ")
                terminal.type(f"answer = {answer!r}")
                terminal.read_until("(Pdb) ")
                terminal.type("c")
        assert sorted(response.json() for response in [*first, *second]) == ["first", "second"]


def test_ctrl_c_at_a_breakpoint_ends_debug_mode_and_the_terminal_still_echoes(
    clone: Path, database: str
) -> None:
    with debugging(clone, DATABASE_URL=database) as terminal:
        url = url_in(terminal.read_until("Ctrl-C."))
        with request_of(url, do="breakpoint") as responses:
            terminal.read_until("(Pdb) ")
            assert not terminal.echoes()
            start = time.monotonic()
            os.killpg(terminal.process.pid, signal.SIGINT)
            assert terminal.process.wait(SECONDS) == 0
            assert time.monotonic() - start < 4
        assert terminal.echoes()
        assert [response.status_code for response in responses] == [500]


def test_a_breakpoint_without_debug_mode_says_what_to_do(clone: Path, database: str) -> None:
    with serving(clone, DATABASE_URL=database) as session:
        assert session.get(do="breakpoint").status_code == 502
        log = (clone / "errors.log").read_text()
    assert "functions/echo/handler.py" in log
    assert "RuntimeError: breakpoint() needs a terminal: run `make debug` instead" in log


class Editor:
    """The debugger of an editor, which speaks the Debug Adapter Protocol."""

    def __init__(self, stream: "BufferedRWPair[Any, Any]") -> None:
        self._stream = stream
        self._sent = 0
        self._unread: list[Message] = []

    def attach(self, configuration: Message, file: Path, line: int) -> None:
        """Attach with a breakpoint on a line of a file."""
        self.request("initialize", adapterID="debugpy")
        self._send("attach", **configuration)
        self.event("initialized")
        self.request("setBreakpoints", source={"path": str(file)}, breakpoints=[{"line": line}])
        self.request("configurationDone")

    def request(self, command: str, **arguments: object) -> Message:
        """Send a request and return the body of its response."""
        number = self._send(command, **arguments)
        return self._receive(lambda message: message.get("request_seq") == number)

    def event(self, name: str) -> Message:
        """Wait for an event and return its body."""
        return self._receive(lambda message: message.get("event") == name)

    def _send(self, command: str, **arguments: object) -> int:
        self._sent += 1
        message = {"seq": self._sent, "type": "request", "command": command, "arguments": arguments}
        content = json.dumps(message).encode()
        self._stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(content), content))
        self._stream.flush()
        return self._sent

    def _receive(self, wanted: Callable[[Message], bool]) -> Message:
        while True:
            for message in self._unread:
                if wanted(message):
                    self._unread.remove(message)
                    assert message.get("success", True), message
                    return dict(message.get("body", {}))
            length = int(self._stream.readline().split(b":")[1])
            self._stream.readline()
            self._unread.append(json.loads(self._stream.read(length)))


@contextmanager
def editor(port: int) -> Iterator[Editor]:
    with (
        socket.create_connection(("127.0.0.1", port), SECONDS) as connection,
        connection.makefile("rwb") as stream,
    ):
        yield Editor(stream)


def test_an_editor_attaches_and_stops_a_function_at_its_breakpoint(clone: Path, database: str) -> None:
    handler = clone / "functions/echo/handler.py"
    lines = handler.read_text().splitlines()
    line = lines.index("            left = context.get_remaining_time_in_millis()") + 1
    port = free_port()
    with debugging(clone, DATABASE_URL=database, ATTACH=str(port)) as terminal:
        terminal.read_until(f"Waiting for an editor that attaches to port {port} ...")
        with editor(port) as gateway, editor(port) as function:
            gateway.attach({"subProcess": True}, handler, line)
            url = url_in(terminal.read_until("Ctrl-C."))
            with request_of(url, do="context") as responses:
                function.attach(gateway.event("debugpyAttach"), handler, line)
                thread = function.event("stopped")["threadId"]
                time.sleep(LONGER_THAN_THE_TIMEOUT)
                frame = function.request("stackTrace", threadId=thread)["stackFrames"][0]
                assert (frame["source"]["path"], frame["line"]) == (str(handler), line)
                shown = function.request("evaluate", expression="query", frameId=frame["id"], context="repl")
                assert shown["result"] == "{'do': 'context'}"
                function.request("continue", threadId=thread)
            assert responses[0].json()["function_name"] == "Echo"
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(SECONDS) == 0


@pytest.mark.parametrize("port", ["taken", "x"])
def test_a_port_to_which_no_editor_can_attach(clone: Path, database: str, port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        with debugging(clone, DATABASE_URL=database, ATTACH=taken if port == "taken" else port) as terminal:
            assert terminal.process.wait(SECONDS) == 1
            expected = (
                f"cannot listen for an editor on port {taken}: " if port == "taken" else "ATTACH is 'x'"
            )
            assert "Traceback" not in terminal.read_until(expected)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
