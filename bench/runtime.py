"""An execution environment: a function under AWS's runtime client, and the Runtime API that it talks to.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import re
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from bench.http_server import HttpServer, Request
from bench.stage import CLIENT, PYTHON, Package

PREFIX: Final = "/2018-06-01/runtime/"
DEADLINE_SECONDS: Final = 30.0
STOP_SECONDS: Final = 5.0


class FunctionError(Exception):
    """The function failed to start, raised, ended, or answered what it should not."""


class Answer(NamedTuple):
    """What an invocation returned, and what it took: wall time to the answer, CPU time of the whole cycle."""

    value: Any
    wall_ms: float
    cpu_ms: float


class Environment:
    """One process that serves one invocation after another, as in Lambda; a context manager.

    Constructed, it has initialised: `init_wall_ms` and `init_cpu_ms` say what that took.
    """

    def __init__(self, package: Package, variables: dict[str, str]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        self._server = HttpServer()
        started = time.perf_counter()
        self._process = subprocess.Popen(  # noqa: S603  # the function that is measured
            [PYTHON, "-m", "awslambdaric", package.handler],
            cwd=package.task,
            env=self._environment(package) | variables,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        try:
            self._next()
        except BaseException:
            self.close()
            raise
        self.init_wall_ms = (time.perf_counter() - started) * 1e3
        self.init_cpu_ms = self._cpu_seconds() * 1e3

    def __enter__(self) -> Self:
        """Return the environment, which has started already."""
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def invoke(self, event: dict[str, Any]) -> Answer:
        """Run the function on an event; raises `FunctionError` when it raises or ends."""
        body, identifier = json.dumps(event).encode(), str(uuid.uuid4())
        headers = {
            "Lambda-Runtime-Aws-Request-Id": identifier,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + DEADLINE_SECONDS) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:bench",
            "Lambda-Runtime-Trace-Id": f"Root=1-{uuid.uuid4().hex[:8]}-{uuid.uuid4().hex[:24]};Sampled=0",
        }
        cpu, started = self._cpu_seconds(), time.perf_counter()
        self._server.answer(self._waiting, "200 OK", body, headers)
        request = self._receive()
        wall = time.perf_counter() - started
        self._server.answer(request, "202 Accepted")
        # Until it asks for the next event: the client's own work after the answer is part of the price.
        self._next()
        cpu = self._cpu_seconds() - cpu
        if request.path != f"{PREFIX}invocation/{identifier}/response":
            raise FunctionError(f"the function raised: {request.body.decode()[:2000]}\n{self._log_tail()}")
        return Answer(json.loads(request.body), wall * 1e3, cpu * 1e3)

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
        self._server.close()
        self._log.close()

    def _cpu_seconds(self) -> float:
        return cpu_seconds(self._process.pid)

    def _environment(self, package: Package) -> dict[str, str]:
        return {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.port}",
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

    def _next(self) -> None:
        while True:
            request = self._receive()
            if request.path == PREFIX + "invocation/next":
                self._waiting = request
                return
            self._server.answer(request, "202 Accepted")
            if request.path == PREFIX + "init/error":
                raise FunctionError(f"the function did not start: {request.body.decode()[:2000]}")

    def _receive(self) -> Request:
        request = self._server.receive(DEADLINE_SECONDS, alive=lambda: self._process.poll() is None)
        if request is None:
            raise FunctionError(f"no word from the function\n{self._log_tail()}")
        return request

    def _log_tail(self) -> str:
        self._log.seek(0)
        # The client puts a message's lines together with carriage returns.
        return self._log.read()[-3000:].decode(errors="replace").replace("\r", "\n")


def cpu_seconds(process: int) -> float:
    """Return the CPU time of another process, all threads, to the nanosecond."""
    # Linux's clock id of a process, which is what clock_getcpuclockid(3) returns; Python does not wrap it.
    return time.clock_gettime((~process << 3) | 2)
