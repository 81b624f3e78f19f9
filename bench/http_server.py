"""A small HTTP server that is asked for the next request, in the thread of whoever asks.

No thread of its own: what answers a function must not run, and be measured, beside it.
"""

import selectors
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

POLL_SECONDS: Final = 0.25
HEAD_END: Final = b"\r\n\r\n"


class Request(NamedTuple):
    """A request and the connection that waits for its answer."""

    connection: socket.socket
    path: str
    body: bytes


class HttpServer:
    """Listens on a free loopback port."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._buffers: dict[socket.socket, bytearray] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)

    def receive(self, seconds: float, *, alive: Callable[[], bool]) -> Request | None:
        """Return the next request; None when none came in time, or the client is no longer alive."""
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            for connection, buffer in self._buffers.items():
                if request := _take(connection, buffer):
                    return request
            for key, _ in self._selector.select(POLL_SECONDS):
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._read(key.fileobj)
            if not self._buffers and not alive():
                return None
        return None

    def answer(
        self, request: Request, status: str, body: bytes = b"{}", headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer a request with JSON."""
        lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        request.connection.sendall("\r\n".join(lines).encode() + HEAD_END + body)

    def close(self) -> None:
        """Close every connection."""
        for connection in (*self._buffers, self._listener):
            connection.close()
        self._selector.close()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffers[connection] = bytearray()
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(1 << 20)
        except OSError:
            data = b""
        if data:
            self._buffers[connection] += data
        else:
            self._selector.unregister(connection)
            del self._buffers[connection]
            connection.close()


def _take(connection: socket.socket, buffer: bytearray) -> Request | None:
    """Take a whole request off the start of a buffer; None when there is none yet."""
    head, separator, rest = bytes(buffer).partition(HEAD_END)
    if not separator:
        return None
    lines = head.decode("latin1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
    chunked = headers.get("transfer-encoding") == "chunked"
    length = int(headers.get("content-length", 0))
    body, size = _chunks(rest) if chunked else (rest[:length], length)
    if body is None or len(rest) < size:
        return None
    del buffer[: len(head) + len(separator) + size]
    return Request(connection, lines[0].split(" ")[1], body)


def _chunks(data: bytes) -> tuple[bytes | None, int]:
    """Return a chunked body and the bytes that it took; None when it is not yet whole."""
    body, at = b"", 0
    while (line_end := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:line_end], 16)
        start = line_end + 2
        at = start + size + 2
        if len(data) < at:
            break
        body += data[start : start + size]
        if size == 0:
            return body, at
    return None, 0
