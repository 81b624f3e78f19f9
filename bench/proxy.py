"""A proxy before PostgreSQL that counts round trips."""

import selectors
import socket
import threading
from typing import Final

TERMINATE: Final = b"X"


class CountingProxy:
    """Listens on a free loopback port and forwards to a server.

    A round trip is each time that the client speaks again after the server has; its goodbye is none.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.round_trips = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections; those that are open end with their clients."""
        # Without it the thread that waits in accept() keeps the socket open.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        with (
            client,
            socket.create_connection(self._server) as server,
            selectors.DefaultSelector() as selector,
        ):
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(end, selectors.EVENT_READ)
            speaker = server
            while True:
                for key, _ in selector.select():
                    source = client if key.fileobj is client else server
                    try:
                        data = source.recv(1 << 18)
                        if not data:
                            return
                        if source is client and speaker is server and not data.startswith(TERMINATE):
                            self.round_trips += 1
                        (server if source is client else client).sendall(data)
                    except OSError:
                        return
                    speaker = source
