"""An execution environment: a process that runs one function, one invocation at a time."""

import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from local.runtime.function import ACCOUNT, REGION, Function

_LENGTH = struct.Struct("!I")
_RESULT = b"+"
_INIT_SECONDS = 30.0
# The limit of an init and of an invocation in debug mode: a day.
DEBUG_SECONDS = 86_400.0
# File descriptor 2, to which functions log. Not sys.stderr, because tests replace that object.
_STANDARD_ERROR = 2
_WORKER = Path(__file__).with_name("worker.py")


class FunctionError(Exception):
    """The function could not be loaded, raised an exception or ended its process."""


class FunctionTimeoutError(FunctionError):
    """The function exceeded its timeout and was killed."""


@dataclass(frozen=True)
class Invocation:
    """One invocation of a function; `event` is JSON text in UTF-8."""

    request_id: str
    trace_id: str
    event: bytes

    def encode(self, timeout: float) -> bytes:
        """Return the invocation as the content of a frame for the worker; `timeout` is in seconds."""
        ids = json.dumps({"request_id": self.request_id, "trace_id": self.trace_id, "timeout": timeout})
        return b'%s, "event": %s}' % (ids[:-1].encode(), self.event)


class ExecutionEnvironment:
    """A worker process that has loaded the function. `start` returns a new one."""

    def __init__(
        self,
        function: Function,
        process: subprocess.Popen[bytes],
        lifeline: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._function = function
        self._process = process
        self._lifeline: int | None = lifeline
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(
        cls, function: Function, overrides: Mapping[str, str], dependencies: Path, *, debug: bool = False
    ) -> "ExecutionEnvironment":
        """Start a process and return once it has loaded the function.

        `overrides` are values for variables that the function declares. `dependencies` is the directory with
        the packages that its layers install. With `debug`, the function reads from the standard input of this
        process, and its timeouts are a day. Raises `FunctionError` when the function cannot be loaded.
        """
        gateway_end, worker_end = socket.socketpair()
        lifeline_end, lifeline = os.pipe()
        with worker_end, open(lifeline_end, "rb"):  # noqa: PTH123 - it is a descriptor
            reader, writer = await asyncio.open_connection(sock=gateway_end)
            try:
                process = _spawn(function, overrides, dependencies, worker_end, lifeline_end, debug=debug)
            except OSError:
                writer.close()
                os.close(lifeline)
                raise
        if debug:
            function = replace(function, timeout=DEBUG_SECONDS)
        environment = cls(function, process, lifeline, reader, writer)
        try:
            async with asyncio.timeout(DEBUG_SECONDS if debug else _INIT_SECONDS):
                await environment._receive()
        except BaseException as error:
            environment.kill()
            if isinstance(error, TimeoutError):
                raise FunctionError(f"its init took longer than {_INIT_SECONDS:g} s") from None
            raise
        return environment

    @property
    def alive(self) -> bool:
        """Whether the process runs; it may end by itself between two invocations."""
        return self._process.poll() is None

    async def invoke(self, invocation: Invocation) -> bytes:
        """Return the handler's result as JSON text.

        Raises `FunctionError` when the handler raises or the process ends, and `FunctionTimeoutError` after
        the function's timeout, which also ends the environment.
        """
        request = invocation.encode(self._function.timeout)
        try:
            async with asyncio.timeout(self._function.timeout):
                self._writer.write(_LENGTH.pack(len(request)) + request)
                await self._writer.drain()
                return await self._receive()
        except TimeoutError:
            self.kill()
            raise FunctionTimeoutError(f"it timed out after {self._function.timeout:g} s") from None
        except asyncio.CancelledError:
            # Otherwise the next invocation would receive the result of this one.
            self.kill()
            raise

    def kill(self) -> None:
        """Kill the process without warning, as Lambda does."""
        self._writer.close()
        self._process.kill()
        self._process.wait()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    async def _receive(self) -> bytes:
        try:
            header = await self._reader.readexactly(_LENGTH.size)
            frame = await self._reader.readexactly(*_LENGTH.unpack(header))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.kill()
            code = self._process.returncode
            raise FunctionError(f"its process ended with exit code {code}") from None
        if frame[:1] != _RESULT:
            raise FunctionError(json.loads(frame[1:])["errorMessage"])
        return frame[1:]


def _spawn(
    function: Function,
    overrides: Mapping[str, str],
    dependencies: Path,
    end: socket.socket,
    lifeline: int,
    *,
    debug: bool,
) -> subprocess.Popen[bytes]:
    configuration = {
        "descriptor": end.fileno(),
        "lifeline": lifeline,
        "debug": debug,
        "name": function.name,
        "handler": function.handler,
        "memory": function.memory,
        "arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function.name}",
        "code": str(function.code.resolve()),
        "layers": [str((layer / "python").resolve()) for layer in function.layers],
        "dependencies": [str(dependencies)] if function.layers else [],
    }
    # A debugger cannot stop in frozen modules, and warns about them.
    options = ["-I", "-S", "-X", "utf8", *(["-X", "frozen_modules=off"] if debug else [])]
    return subprocess.Popen(  # noqa: S603 - this interpreter and a program of this package
        [sys.executable, *options, str(_WORKER), json.dumps(configuration)],
        stdin=None if debug else subprocess.DEVNULL,
        stdout=_STANDARD_ERROR,
        env=_variables(function, overrides),
        pass_fds=[end.fileno(), lifeline],
        # Ctrl-C must reach only the gateway, which lets running requests finish.
        start_new_session=True,
    )


def _variables(function: Function, overrides: Mapping[str, str]) -> dict[str, str]:
    """Return only the variables that the function declares and those of the Lambda runtime.

    AWS_ENDPOINT_URL_* are also set: the addresses of stand-ins for AWS services, which accept any
    credentials.
    """
    declared = dict(function.environment)
    declared.update(
        (name, value)
        for name, value in overrides.items()
        if name in declared or name.startswith("AWS_ENDPOINT_URL_")
    )
    return declared | {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"local/[$LATEST]{uuid.uuid4().hex}",
        "AWS_REGION": REGION,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "local",
        "LAMBDA_TASK_ROOT": str(function.code.resolve()),
        "LANG": "en_US.UTF-8",
        "PATH": os.defpath,
        "TZ": ":UTC",
        "_HANDLER": function.handler,
    }
