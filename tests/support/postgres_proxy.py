"""A TCP proxy in front of PostgreSQL: records messages, counts round trips, injects faults.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple, Self
from urllib.parse import urlsplit

READY = b"Z\0\0\0\5I"  # ReadyForQuery: the end of every response to a statement in autocommit
TERMINATE = b"X\0\0\0\4"  # the server does not respond to it


class Message(NamedTuple):
    """One message of the client. The kind is its first letter; messages before the login have none."""

    kind: str
    payload: bytes


class Fault(NamedTuple):
    """What happens to one statement.

    Attributes:
        reaches_server: whether the server runs the statement.
        response: returns what the client receives instead of the server's response.
        closes: whether the connection is closed afterwards; otherwise it stays open and silent.

    """

    reaches_server: bool = True
    response: Callable[[bytes], bytes] = lambda response: response
    closes: bool = True


def error_response(severity: str, sqlstate: str, message: str = "injected") -> bytes:
    """Return the ErrorResponse message with which a server reports an error."""
    fields = {"S": severity, "V": severity, "C": sqlstate, "M": message}
    payload = "".join(f"{key}{value}\0" for key, value in fields.items()).encode() + b"\0"
    return b"E" + struct.pack("!i", len(payload) + 4) + payload


class PostgresProxy:
    """A proxy to the server at a URL.

    Attributes:
        url: the database's URL through the proxy.
        faults: each is applied to one statement, the first one first.
        connections, round_trips, messages: what the proxy has seen since the last `reset`.

    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname, parts.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        # The threads wait for this socket too: it becomes readable when the proxy stops.
        self._stop, self._stopped = socket.socketpair()
        port = self._listener.getsockname()[1]
        self.url = parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()
        self.faults: list[Fault] = []
        self._texts: dict[bytes, bytes] = {}
        self.reset()

    def reset(self) -> None:
        """Forget what the proxy has seen so far."""
        self.connections = 0
        self.round_trips = 0
        self.messages: list[Message] = []

    @property
    def statements(self) -> list[str]:
        """The SQL text of each statement that was run, in order."""
        names = [payload.split(b"\0")[1] for kind, payload in self.messages if kind == "B"]
        return [self._texts[name].decode() for name in names]

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Accept connections until the end of the block; then close all."""
        self._start_thread(self._accept)
        try:
            yield self
        finally:
            self._stop.close()
            for thread in self._threads:
                thread.join()
            self._stopped.close()
            self._listener.close()

    def wait_until_closed(self) -> None:
        """Return when every connection is closed, by either side."""
        for thread in self._threads[1:]:
            thread.join()

    def _start_thread(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while self._listener in select.select([self._listener, self._stopped], [], [])[0]:
            client, _ = self._listener.accept()
            self.connections += 1
            self._start_thread(lambda client=client: self._serve(client))  # type: ignore[misc]  # one argument, bound

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server, suppress(ConnectionError):
            buffer, is_request = b"", False
            while True:
                ready = select.select([client, server, self._stopped], [], [])[0]
                if self._stopped in ready:
                    return
                if client in ready:
                    data = client.recv(65536)
                    # A round trip begins when the client sends after the server has sent.
                    if data != TERMINATE:
                        self.round_trips += bool(data) and not is_request
                        is_request = True
                    buffer, messages = _split(buffer + data)
                    self.messages += messages
                    # The names of prepared statements are the same on all connections.
                    for payload in (each.payload for each in messages if each.kind == "P"):
                        name, text, _ = payload.split(b"\0", 2)
                        self._texts[name] = text
                    ends_with_sync = not buffer and bool(messages) and messages[-1].kind == "S"
                    if data and ends_with_sync and self.faults:
                        self._inject(self.faults.pop(0), data, client, server)
                        return
                    server.sendall(data)
                else:
                    data = server.recv(65536)
                    is_request = False
                    client.sendall(data)
                if not data:
                    return

    def _inject(self, fault: Fault, data: bytes, client: socket.socket, server: socket.socket) -> None:
        response = b""
        if fault.reaches_server:
            server.sendall(data)
            while not response.endswith(READY):
                response += server.recv(65536)
        client.sendall(fault.response(response))
        if not fault.closes:
            select.select([client, self._stopped], [], [])


def _split(data: bytes) -> tuple[bytes, list[Message]]:
    """Split what a client has sent into whole messages; return the rest, and the messages."""
    messages: list[Message] = []
    while True:
        # Messages before the login begin with their length, all others with a letter.
        start = 0 if data[:1] == b"\0" else 1
        if len(data) < start + 4:
            return data, messages
        end = start + struct.unpack_from("!i", data, start)[0]
        if len(data) < end:
            return data, messages
        messages.append(Message(data[:start].decode(), data[start + 4 : end]))
        data = data[end:]
