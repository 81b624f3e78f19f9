"""Runs one server for as long as the process that asked for it lives, however that process ends.

A program, not a module: it is started with the interpreter alone and takes one JSON argument, the
server's `command` with the `user`, `group` and `cwd` to run it in, and `remove`, a directory to delete
at the end or null. It prints the server's process id. End of file on its standard input, which the
kernel delivers even when its starter is killed, stops the server.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from types import FrameType


def main() -> int:
    """Start the server, wait for it or for the end of our starter; return the server's exit code."""
    order = json.loads(sys.argv[1])
    server = subprocess.Popen(  # noqa: S603 - what our own launcher asks for
        order["command"],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        cwd=order["cwd"],
        user=order["user"],
        group=order["group"],
        extra_groups=None if order["user"] is None else [],
    )

    def stop(_number: int = 0, _frame: FrameType | None = None) -> None:
        # The "fast" shutdown of PostgreSQL: clients are cut off, the data is written out.
        server.send_signal(signal.SIGINT)

    def stop_after_starter() -> None:
        # Not sys.stdin: a thread that waits in it aborts the interpreter at its end.
        os.read(0, 1)
        stop()

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=stop_after_starter, daemon=True).start()
    sys.stdout.write(f"{server.pid}\n")
    sys.stdout.flush()
    code = server.wait()
    if order["remove"]:
        shutil.rmtree(order["remove"], ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
