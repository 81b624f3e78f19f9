"""Debugging of the functions: an editor that attaches, and the terminal that pdb uses."""

import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from local.errors import LocalRunError

_HOST = "127.0.0.1"


def wait_for_editor(port: int) -> None:
    """Wait until an editor attaches; from then on, each new process of a function is a session of the editor.

    Raises `LocalRunError` when nothing can listen on the port.
    """
    import debugpy  # noqa: PLC0415 - only `make debug` installs it

    try:
        debugpy.listen((_HOST, port))
    except RuntimeError as error:
        raise LocalRunError(
            f"cannot listen for an editor on port {port}: {error}; set ATTACH to another"
        ) from None
    sys.stdout.write(f"Waiting for an editor that attaches to port {port} ...\n")
    sys.stdout.flush()
    debugpy.wait_for_client()


@contextmanager
def restored_terminal() -> Iterator[None]:
    """Restore the terminal at the end: a function that is killed at a prompt leaves it without echo."""
    if not sys.stdin.isatty():
        yield
        return
    settings = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)
