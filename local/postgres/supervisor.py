"""Runs one server until the process that started the supervisor ends, even if that process is killed.

A program, not a module. `python -I -S` starts it with one JSON argument: the server's `command`, the `user`,
`group` and `cwd` to run it with, and `remove`, a directory to delete at the end or null. It prints the
server's process id. End of file on standard input, which occurs when the starter ends, stops the server.
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
    """Start the server, wait until it ends or the starter ends, and return the server's exit code."""
    configuration = json.loads(sys.argv[1])
    server = subprocess.Popen(  # noqa: S603 - the command of cluster.py
        configuration["command"],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        cwd=configuration["cwd"],
        user=configuration["user"],
        group=configuration["group"],
        extra_groups=None if configuration["user"] is None else [],
    )

    def stop(_number: int = 0, _frame: FrameType | None = None) -> None:
        # PostgreSQL's fast shutdown: it ends connections and writes its data to disk.
        server.send_signal(signal.SIGINT)

    def stop_after_starter() -> None:
        # Not sys.stdin.read(), because the interpreter aborts at its end if a thread waits in that call.
        os.read(0, 1)
        stop()

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=stop_after_starter, daemon=True).start()
    sys.stdout.write(f"{server.pid}\n")
    sys.stdout.flush()
    code = server.wait()
    if configuration["remove"]:
        shutil.rmtree(configuration["remove"], ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
