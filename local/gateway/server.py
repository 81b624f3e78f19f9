"""Serves the gateway over HTTP until a signal ends it."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import Iterator

import uvicorn

from local.gateway.application import Gateway
from local.gateway.errors import ListenError

HOST = "127.0.0.1"
# Long enough for a large token: it is for the authorizer to refuse.
_MOST_HEADER_BYTES = 256 * 1024
# A client that pauses finds its connection still there, as it would at AWS.
_KEEP_ALIVE_SECONDS = 75
_GRACE_SECONDS = 5


def bind(port: int) -> socket.socket:
    """Take the port, without accepting requests yet; raises `ListenError` when the system refuses it."""
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it on, an answer in two parts
    # waits 40 ms for the client's acknowledgement of the first.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    # A port whose last connections are still winding down is free.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise ListenError(f"cannot listen on port {port}: {error.strerror}") from None
    return listener


def serve(gateway: Gateway, listener: socket.socket) -> None:
    """Serve the API on a bound socket; returns after SIGINT or SIGTERM.

    Prints the line that says so when the first request would succeed. Running requests get a few seconds to
    finish. Raises `ListenError` when another process listens first.
    """
    # What the imports have left behind lives as long as we do: the collector need not walk it ever again.
    gc.freeze()
    asyncio.run(_serve(gateway, listener))


async def _serve(gateway: Gateway, listener: socket.socket) -> None:
    config = uvicorn.Config(
        gateway,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        # The gateway logs what concerns a developer; a cancelled request at the end does not.
        log_level="critical",
        access_log=False,
        server_header=False,
        # The source of a request is who connects, whatever its headers say.
        proxy_headers=False,
        h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config)
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
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            sys.stdout.write(f"Ready on http://{HOST}:{listener.getsockname()[1]}\n")
            sys.stdout.flush()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn's own raises the signal again at the end, which would leave no time to stop PostgreSQL.
        yield
