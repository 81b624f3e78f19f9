"""A TCP proxy before PostgreSQL that reads what the client says, counts round trips and breaks things.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple
from urllib.parse import urlsplit

READY = b"Z\0\0\0\5I"  # the end of every answer to a statement in autocommit
TERMINATE = b"X\0\0\0\4"  # which nobody answers


class Message(NamedTuple):
    """One message of the client; its start-up message has no kind."""

    kind: str
    payload: bytes


class Fault(NamedTuple):
    """What happens to the next statement, after which the connection is closed, or held and nothing said."""

    reaches_server: bool = True
    answer: Callable[[bytes], bytes] = lambda answer: answer
    closes: bool = True


def error(severity: str, sqlstate: str, message: str = "injected") -> bytes:
    """Return the message with which a server reports an error."""
    fields = {"S": severity, "V": severity, "C": sqlstate, "M": message}
    payload = "".join(f"{key}{value}\0" for key, value in fields.items()).encode() + b"\0"
    return b"E" + struct.pack("!i", len(payload) + 4) + payload


class Wire:
    """The proxy; `url` leads through it, and what it has seen is counted since the last `reset`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._upstream = (parts.hostname, parts.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._stop, self._stopped = socket.socketpair()
        self.url = parts._replace(
            netloc=f"{parts.username}@127.0.0.1:{self._listener.getsockname()[1]}"
        ).geturl()
        self.faults: list[Fault] = []
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self.connections = 0
        self.round_trips = 0
        self.messages: list[Message] = []

    @property
    def statements(self) -> list[str]:
        """The SQL that was sent, in order."""
        texts = {"P": lambda payload: payload.split(b"\0")[1], "Q": lambda payload: payload[:-1]}
        return [texts[kind](payload).decode() for kind, payload in self.messages if kind in texts]

    @contextmanager
    def running(self) -> Iterator["Wire"]:
        """Take connections; at the end, close all."""
        self._spawn(self._accept)
        try:
            yield self
        finally:
            self._stop.close()
            for thread in self._threads:
                thread.join()
            self._stopped.close()
            self._listener.close()

    def wait_until_closed(self) -> None:
        """Return when every connection has been closed from one side."""
        for thread in self._threads[1:]:
            thread.join()

    def _spawn(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while self._listener in select.select([self._listener, self._stopped], [], [])[0]:
            client, _ = self._listener.accept()
            self.connections += 1
            self._spawn(lambda client=client: self._serve(client))  # type: ignore[misc]  # one argument, bound

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._upstream) as server, suppress(ConnectionError):
            buffer, is_asking = b"", False
            while True:
                ready = select.select([client, server, self._stopped], [], [])[0]
                if self._stopped in ready:
                    return
                if client in ready:
                    data = client.recv(65536)
                    if data != TERMINATE:
                        self.round_trips += bool(data) and not is_asking
                        is_asking = True
                    buffer, messages = _split(buffer + data)
                    self.messages += messages
                    is_statement = not buffer and bool(messages) and messages[-1].kind == "S"
                    if data and is_statement and self.faults:
                        self._break(self.faults.pop(0), data, client, server)
                        return
                    server.sendall(data)
                else:
                    data = server.recv(65536)
                    is_asking = False
                    client.sendall(data)
                if not data:
                    return

    def _break(self, fault: Fault, data: bytes, client: socket.socket, server: socket.socket) -> None:
        answer = b""
        if fault.reaches_server:
            server.sendall(data)
            while not answer.endswith(READY):
                answer += server.recv(65536)
        client.sendall(fault.answer(answer))
        if not fault.closes:
            select.select([client, self._stopped], [], [])


def _split(data: bytes) -> tuple[bytes, list[Message]]:
    """Take the whole messages off the beginning of what a client has sent; return the rest, and them."""
    messages: list[Message] = []
    while True:
        # The first message begins with its length, all others with a letter.
        start = 0 if data[:1] == b"\0" else 1
        if len(data) < start + 4:
            return data, messages
        end = start + struct.unpack_from("!i", data, start)[0]
        if len(data) < end:
            return data, messages
        messages.append(Message(data[:start].decode(), data[start + 4 : end]))
        data = data[end:]
