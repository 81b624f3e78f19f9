"""The program of an execution environment: runs one Lambda function, as the Lambda runtime does.

`python -I -S` starts it, so that the function can import only the standard library, its layers and its own
package. Its one argument is JSON: `descriptor`, the socket to the gateway; `lifeline`, a pipe that closes
when the gateway ends; `debug`, whether a debugger may stop the function; `handler`; `code`, the directory of
the function's package; `layers` and `dependencies`, directories for `sys.path`; and the `name`, `memory` and
`arn` of the function.

A frame on the socket is a big-endian length and that many bytes. The worker sends a frame after it has loaded
the function and one for each invocation: a status byte, `+` for a result and `-` for an error, then JSON.
Standard output and standard error belong to the function.
"""

import importlib
import io
import json
import os
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, PathFinder, SourceFileLoader
from importlib.util import module_from_spec
from types import TracebackType
from typing import Any, BinaryIO

_LENGTH = struct.Struct("!I")
_RESULT = b"+"
_ERROR = b"-"
# The beginning of a line in CloudWatch's embedded metric format.
_METRICS = '{"_aws":'
# The files of this module and of the import system.
_RUNTIME = (__file__, importlib.__file__, "<frozen importlib")

Handler = Callable[[Any, "Context"], object]


class Context:
    """The context object of an invocation, with the attributes that Lambda documents."""

    def __init__(self, configuration: dict[str, Any], request_id: str, deadline: float) -> None:
        self.aws_request_id = request_id
        self.function_name: str = configuration["name"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.invoked_function_arn: str = configuration["arn"]
        self.memory_limit_in_mb = str(configuration["memory"])
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.client_context = None
        self.identity = None
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until the timeout, in milliseconds."""
        return max(int((self._deadline - time.monotonic()) * 1000), 0)


class Output(io.TextIOWrapper):
    """Standard output without lines of metrics, which only CloudWatch reads and which hide the others."""

    def __init__(self, buffer: BinaryIO) -> None:
        # Each line is written at once, even to a file or a pipe.
        super().__init__(buffer, encoding="utf-8", line_buffering=True)
        self._is_new_line = True
        self._is_metrics = False

    def write(self, text: str) -> int:
        """Write a text unless it belongs to a line of metrics; `print` writes the newline separately."""
        if self._is_new_line:
            self._is_metrics = text.startswith(_METRICS)
        self._is_new_line = text.endswith("\n")
        return len(text) if self._is_metrics else super().write(text)


class FreshLoader(SourceFileLoader):
    """Compiles source files without cached bytecode.

    A cache file matches its source by size and whole seconds, which can miss an edit.
    """

    def get_code(self, fullname: str) -> Any:  # noqa: ANN401 - as in the stubs of the standard library
        """Return the code of a module."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def main() -> None:
    """Load the function, then run invocations until the gateway closes the socket."""
    configuration = json.loads(sys.argv[1])
    threading.Thread(target=_exit_with_gateway, args=[configuration["lifeline"]], daemon=True).start()
    sys.stdout = Output(sys.stdout.buffer)
    sys.stderr.reconfigure(line_buffering=True)  # type: ignore[union-attr] # it is a TextIOWrapper here
    if not configuration["debug"]:
        sys.breakpointhook = _reject_breakpoint
    with socket.socket(fileno=configuration["descriptor"]) as gateway:
        try:
            handler = _load(configuration)
        except BaseException as error:
            _send(gateway, _failure(error, f"{configuration['name']} cannot be loaded"))
            return
        _send(gateway, _RESULT)
        while frame := _receive(gateway):
            _send(gateway, _invoke(handler, frame, configuration))


def _exit_with_gateway(lifeline: int) -> None:
    # The pipe closes when the gateway ends, even if it is killed. The socket closes as well, but nothing
    # reads it while a handler runs.
    os.read(lifeline, 1)
    os._exit(0)


def _reject_breakpoint(*_: object, **__: object) -> None:
    # Without a terminal, pdb would fail with BdbQuit, which does not say why.
    raise RuntimeError("breakpoint() needs a terminal: run `make debug` instead")


def _load(configuration: dict[str, Any]) -> Handler:
    """Import the handler, `package.module.function`; no other package of the code directory is importable."""
    sources = (configuration["code"], *configuration["layers"])
    fresh = FileFinder.path_hook((FreshLoader, SOURCE_SUFFIXES))

    def hook(path: str) -> Any:  # noqa: ANN401 - a path entry finder has no public type
        if path.startswith(sources):
            return fresh(path)
        raise ImportError(path)

    sys.path_hooks.insert(0, hook)
    sys.path[:0] = [*configuration["layers"], *configuration["dependencies"]]
    module_name, _, function_name = configuration["handler"].rpartition(".")
    package = module_name.partition(".")[0]
    spec = PathFinder.find_spec(package, [configuration["code"]])
    if spec is None:
        raise ModuleNotFoundError(f"No module named {package!r} in {configuration['code']}", name=package)
    module = module_from_spec(spec)
    sys.modules[package] = module
    if spec.loader is not None:
        spec.loader.exec_module(module)
    handler: Handler = getattr(importlib.import_module(module_name), function_name)
    return handler


def _invoke(handler: Handler, frame: bytes, configuration: dict[str, Any]) -> bytes:
    invocation = json.loads(frame)
    os.environ["_X_AMZN_TRACE_ID"] = invocation["trace_id"]
    context = Context(configuration, invocation["request_id"], time.monotonic() + invocation["timeout"])
    try:
        result = json.dumps(handler(invocation["event"], context), ensure_ascii=False)
        # A lone surrogate stays as it is, because the gateway replaces it.
        return _RESULT + result.encode(errors="surrogatepass")
    except BaseException as error:
        return _failure(error, f"{configuration['name']} failed")


def _failure(error: BaseException, what: str) -> bytes:
    """Print the traceback of the function's code, and return the error in the format of Lambda."""
    *trace, summary = traceback.format_exception(error.with_traceback(_below_runtime(error.__traceback__)))
    sys.stderr.write(f"{''.join(trace)}{what}: {summary}")
    return _ERROR + json.dumps({"errorMessage": str(error), "errorType": type(error).__name__}).encode()


def _below_runtime(trace: TracebackType | None) -> TracebackType | None:
    """Return the traceback without its first frames, which are those of this module and of the import."""
    while trace and trace.tb_frame.f_code.co_filename.startswith(_RUNTIME):
        trace = trace.tb_next
    return trace


def _send(gateway: socket.socket, content: bytes) -> None:
    gateway.sendall(_LENGTH.pack(len(content)) + content)


def _receive(gateway: socket.socket) -> bytes:
    """Return the content of the next frame, empty when the gateway has closed the socket."""
    header = _read(gateway, _LENGTH.size)
    return _read(gateway, _LENGTH.unpack(header)[0]) if header else b""


def _read(gateway: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = gateway.recv(size - len(data))
        if not chunk:
            return b""
        data += chunk
    return bytes(data)


if __name__ == "__main__":
    main()
