"""Serves the gateway over HTTP until SIGINT or SIGTERM."""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn

from local.gateway.application import Gateway
from local.gateway.errors import ListenError

HOST = "127.0.0.1"
# Larger than any token, so that the authorizer rejects an oversized token and not the server.
_MAX_HEADER_BYTES = 256 * 1024
# A client keeps an idle connection for this long, as on AWS.
_KEEP_ALIVE_SECONDS = 75
GRACE_SECONDS = 5


def bind(port: int) -> socket.socket:
    """Return a socket bound to the port, which does not listen yet; raises `ListenError` if that fails."""
    # asyncio turns Nagle's algorithm off only if the protocol is named. With the algorithm, a response in two
    # packets waits 40 ms for the client to acknowledge the first.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    # Reuses a port whose last connections are in TIME_WAIT.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise ListenError(f"cannot listen on port {port}: {error.strerror}") from None
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL of a bound socket."""
    return f"http://{HOST}:{listener.getsockname()[1]}"


def serve(
    gateway: Gateway,
    listener: socket.socket,
    on_ready: Callable[[str], None],
    grace_seconds: int = GRACE_SECONDS,
) -> None:
    """Serve the API on a bound socket; returns after SIGINT or SIGTERM.

    Calls `on_ready` with the URL when it accepts requests. At the end, running requests get `grace_seconds`
    to finish. Raises `ListenError` when another process listens on the address.
    """
    # The objects of the imports live as long as the process, so the garbage collector can skip them.
    gc.freeze()
    asyncio.run(_serve(gateway, listener, on_ready, grace_seconds))


async def _serve(
    gateway: Gateway, listener: socket.socket, on_ready: Callable[[str], None], grace_seconds: int
) -> None:
    config = uvicorn.Config(
        gateway,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        # The gateway writes its own log. uvicorn's log would only add noise, for example when it cancels a
        # request at the end.
        log_level="critical",
        access_log=False,
        server_header=False,
        # The source address is that of the connection, not one from a header.
        proxy_headers=False,
        h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace_seconds,
    )
    server = _Server(config, on_ready)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.handle_exit, number, None)
    idle = asyncio.create_task(gateway.end_idle())
    try:
        await server.serve(sockets=[listener])
    except OSError as error:
        raise ListenError(f"cannot listen: {error.strerror}") from None
    finally:
        idle.cancel()
        await gateway.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            self._on_ready(url_of(listener))

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's method raises the signal again at the end, so the caller could not clean up.
        yield
