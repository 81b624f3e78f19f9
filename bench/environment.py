"""An execution environment: a function under AWS's runtime client, and the Runtime API that the client calls.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import re
import selectors
import socket
import subprocess
import tempfile
import time
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.packages import CLIENT, PYTHON, Package

PREFIX: Final = "/2018-06-01/runtime/"
TIMEOUT_SECONDS: Final = 30.0
STOP_SECONDS: Final = 5.0


class FunctionError(Exception):
    """The function does not start, raises, ends, or responds with the wrong status."""


class Response(NamedTuple):
    """A response, the wall time until it arrived, and the CPU time until the next event is requested."""

    value: Any
    wall_ms: float
    cpu_ms: float


class Environment:
    """One process that serves one invocation after another, as in Lambda; `close` ends it.

    The constructor returns after the init.

    Attributes:
        init_wall_ms, init_cpu_ms: from the start of the process until it requests its first event.

    """

    def __init__(self, package: Package, variables: dict[str, str]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        self._api = _RuntimeApi()
        started = time.perf_counter()
        self._process = subprocess.Popen(  # noqa: S603  # the function that is measured
            [PYTHON, "-m", "awslambdaric", package.handler],
            cwd=package.task,
            env=self._variables(package) | variables,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        try:
            self._wait_for_next()
        except BaseException:
            self.close()
            raise
        self.init_wall_ms = (time.perf_counter() - started) * 1e3
        self.init_cpu_ms = self._cpu_seconds() * 1e3

    def invoke(self, event: dict[str, Any]) -> Response:
        """Run the function on an event.

        Raises FunctionError when the function raises or its process ends.
        """
        identifier = str(uuid.uuid4())
        headers = {
            "Lambda-Runtime-Aws-Request-Id": identifier,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + TIMEOUT_SECONDS) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:bench",
            "Lambda-Runtime-Trace-Id": f"Root=1-{uuid.uuid4().hex[:8]}-{uuid.uuid4().hex[:24]};Sampled=0",
        }
        body = json.dumps(event).encode()
        cpu, started = self._cpu_seconds(), time.perf_counter()
        self._next.respond(200, body, headers)
        response = self._receive()
        wall, path, body = response.arrived - started, response.path, response.body
        response.respond(202)
        # The client's own work after the response belongs to the request.
        self._wait_for_next()
        cpu = self._cpu_seconds() - cpu
        if path != f"{PREFIX}invocation/{identifier}/response":
            raise FunctionError(f"the function raised: {body.decode()[:2000]}\n{self._log_tail()}")
        return Response(json.loads(body), wall * 1e3, cpu * 1e3)

    def resident_mb(self) -> float:
        """Return the memory that the process holds now."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024

    def close(self) -> None:
        """End the process and its Runtime API."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._api.server_close()
        self._log.close()

    def _cpu_seconds(self) -> float:
        return cpu_seconds(self._process.pid)

    def _variables(self, package: Package) -> dict[str, str]:
        return {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/bench",
            "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_REGION": "eu-west-1",
            "LAMBDA_TASK_ROOT": str(package.task),
            "LANG": "en_US.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            # Lambda's code directory is read-only.
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": f"{package.layer}:{CLIENT}",
            "TZ": ":UTC",
            "_HANDLER": package.handler,
        }

    def _wait_for_next(self) -> None:
        self._next = self._receive()
        if self._next.path != f"{PREFIX}invocation/next":
            raise FunctionError(f"the function did not start: {self._next.body.decode()[:2000]}")

    def _receive(self) -> "_Request":
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if request := self._api.receive():
                return request
        raise FunctionError(f"the function's process ended or does not respond\n{self._log_tail()}")

    def _log_tail(self) -> str:
        self._log.seek(0)
        # The client joins the lines of a message with carriage returns.
        return self._log.read()[-3000:].decode(errors="replace").replace("\r", "\n")


class _Request(BaseHTTPRequestHandler):
    """A connection of the runtime client, and the last request on it."""

    protocol_version = "HTTP/1.1"
    body = b""

    def handle(self) -> None:
        """Do nothing: `_RuntimeApi.receive` handles each request when it arrives."""

    finish = handle

    def read(self) -> bool:
        """Read the next request; return whether there was one."""
        self.arrived = time.perf_counter()
        self.command = ""
        self.handle_one_request()
        return bool(self.command)

    def do_GET(self) -> None:
        """Read the body."""
        self.body = self.rfile.read(int(self.headers["Content-Length"] or 0))

    do_POST = do_GET  # noqa: N815  # the name that http.server calls

    def respond(self, status: int, body: bytes = b"{}", headers: dict[str, str] | None = None) -> None:
        """Send a response with a JSON body."""
        self.send_response(status)
        defaults = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in (defaults | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class _RuntimeApi(HTTPServer):
    """The server from which the client requests events.

    It has no thread of its own, which would compete with the function for the processor.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self, selectors.EVENT_READ)

    def receive(self) -> _Request | None:
        """Return the next request; None if none arrives within a moment."""
        for key, _ in self._selector.select(0.1):
            if key.fileobj is self:
                connection, address = self.get_request()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                request = _Request(connection, address, self)
                self._selector.register(connection, selectors.EVENT_READ, request)
            elif key.data.read():
                return key.data  # type: ignore[no-any-return]  # a selector's data has no type
            else:
                self._selector.unregister(key.fileobj)
                key.data.connection.close()
        return None

    def server_close(self) -> None:
        """Close every connection."""
        for key in list(self._selector.get_map().values()):
            if key.fileobj is not self:
                key.data.connection.close()
        self._selector.close()
        super().server_close()


def cpu_seconds(process: int) -> float:
    """Return the CPU time of another process, all threads, to the nanosecond."""
    # The clock id that clock_getcpuclockid(3) returns on Linux. Python does not wrap that function.
    return time.clock_gettime((~process << 3) | 2)
