"""Runs one Lambda function as its runtime would; the program inside an execution environment.

Started with the interpreter alone (`python -I -S`), so that the function sees the standard library, its
layers and its own package. The one argument is JSON: `descriptor`, the socket to the gateway; `handler`;
`code`, the directory of the function's package; `layers` and `dependencies`, directories for `sys.path`;
and the `name`, `memory` and `arn` of the function.

Frames on the socket are a big-endian length and that many bytes. The worker sends one when it has loaded
the function, then answers each request with one: a status byte, `+` for a result and `-` for an error, and
JSON. Standard output and error stay the function's own.
"""

import importlib
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
from typing import Any

_LENGTH = struct.Struct("!I")
_RESULT = b"+"
_ERROR = b"-"

Handler = Callable[[Any, "Context"], object]


class Context:
    """The context object of an invocation, with the names that Lambda gives its fields."""

    def __init__(self, order: dict[str, Any], request_id: str, deadline: float) -> None:
        self.aws_request_id = request_id
        self.function_name: str = order["name"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.invoked_function_arn: str = order["arn"]
        self.memory_limit_in_mb = str(order["memory"])
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.client_context = None
        self.identity = None
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the function may still run before it is killed, in milliseconds."""
        return max(int((self._deadline - time.monotonic()) * 1000), 0)


class FreshLoader(SourceFileLoader):
    """Compiles source as it is now.

    Cached bytecode is matched to its source by whole seconds and size: an edit could go unnoticed.
    """

    def get_code(self, fullname: str) -> Any:  # noqa: ANN401 - the type in the standard library's stubs is inexact
        """Return the code of a module."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def main() -> None:
    """Load the function, then serve requests until the gateway closes the socket."""
    order = json.loads(sys.argv[1])
    threading.Thread(target=_die_with_gateway, daemon=True).start()
    # Lines reach the developer as they are printed, whatever the gateway's output is.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr] # it is a TextIOWrapper here
    with socket.socket(fileno=order["descriptor"]) as gateway:
        try:
            handler = _load(order)
        except BaseException as error:
            _send(gateway, _failure(error, f"{order['name']} cannot be loaded"))
            return
        _send(gateway, _RESULT)
        while request := _receive(gateway):
            _send(gateway, _invoke(handler, request, order))


def _die_with_gateway() -> None:
    # The gateway holds the other end of our standard input for as long as it lives. A busy handler does
    # not read the socket, and one that hangs never would.
    os.read(0, 1)
    os._exit(0)


def _load(order: dict[str, Any]) -> Handler:
    """Import the handler as `package.module.function`, and of the code directory only that package."""
    sources = (order["code"], *order["layers"])
    fresh = FileFinder.path_hook((FreshLoader, SOURCE_SUFFIXES))

    def hook(path: str) -> Any:  # noqa: ANN401 - a path entry finder, whose type has no public name
        if path.startswith(sources):
            return fresh(path)
        raise ImportError(path)

    sys.path_hooks.insert(0, hook)
    sys.path[:0] = [*order["layers"], *order["dependencies"]]
    module_name, _, function_name = order["handler"].rpartition(".")
    package = module_name.partition(".")[0]
    spec = PathFinder.find_spec(package, [order["code"]])
    if spec is None:
        raise ModuleNotFoundError(f"No module named {package!r} in {order['code']}", name=package)
    module = module_from_spec(spec)
    sys.modules[package] = module
    if spec.loader is not None:
        spec.loader.exec_module(module)
    handler: Handler = getattr(importlib.import_module(module_name), function_name)
    return handler


def _invoke(handler: Handler, request: bytes, order: dict[str, Any]) -> bytes:
    invocation = json.loads(request)
    os.environ["_X_AMZN_TRACE_ID"] = invocation["trace_id"]
    context = Context(order, invocation["request_id"], time.monotonic() + invocation["timeout"])
    try:
        answer = json.dumps(handler(invocation["event"], context), ensure_ascii=False)
        # Half a character is text too; the gateway decides what becomes of it.
        return _RESULT + answer.encode(errors="surrogatepass")
    except BaseException as error:
        return _failure(error, f"{order['name']} failed")


def _failure(error: BaseException, what: str) -> bytes:
    """Tell the developer what went wrong, and the gateway in the form that Lambda does."""
    *trace, summary = traceback.format_exception(error)
    sys.stderr.write(f"{''.join(trace)}{what}: {summary}")
    return _ERROR + json.dumps({"errorMessage": str(error), "errorType": type(error).__name__}).encode()


def _send(gateway: socket.socket, answer: bytes) -> None:
    gateway.sendall(_LENGTH.pack(len(answer)) + answer)


def _receive(gateway: socket.socket) -> bytes:
    """Return the next frame; empty when the gateway has closed the socket."""
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
