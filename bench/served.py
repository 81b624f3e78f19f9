"""FastAPI as a server, under uvicorn on the same machine: what it costs without Lambda around it."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlencode

from bench import workload
from bench.figures import spread
from bench.progress import Progress
from bench.runtime import FunctionError, cpu_seconds
from bench.targets import PEER, Target, token, variables
from bench.warm import WARM_UP, Request

START_SECONDS: Final = 30.0


def measure(target: Target, url: str, repeats: int, progress: Progress) -> dict[str, Request]:
    """Return what each kind of request takes of the server, one client and one worker; by kind."""
    requests = {}
    with _server(target, url) as (process, connection):
        for kind in progress.count("FastAPI under uvicorn", workload.kinds()):
            answers = [
                _send(process, connection, kind, number)
                for number in range(1 + repeats // 20 if kind.hashes else WARM_UP + repeats)
            ]
            cpu, wall = zip(*answers[1 if kind.hashes else WARM_UP :], strict=True)
            requests[kind.name] = Request(spread(cpu), spread(wall), None)
    return requests


@contextmanager
def _server(target: Target, url: str) -> Iterator[tuple[int, http.client.HTTPConnection]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen(  # noqa: S603  # the application that is measured
        command, cwd=target.compiled.task, env=os.environ | variables(url)
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while True:
            try:
                connection.connect()
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield process.pid, connection
        connection.close()
    finally:
        process.terminate()
        process.wait()


def _send(
    process: int, connection: http.client.HTTPConnection, kind: workload.Kind, number: int
) -> tuple[float, float]:
    """Return the CPU and the wall time of a request, in ms."""
    call = kind.make(number)
    path = call.path + (f"?{urlencode(call.query)}" if call.query else "")
    headers = {"Authorization": f"Bearer {token(PEER)}", "Content-Type": call.content_type}
    cpu, started = cpu_seconds(process), time.perf_counter()
    connection.request(call.method, path, call.body, headers)
    answer = connection.getresponse()
    body = answer.read()
    wall = time.perf_counter() - started
    if answer.status != kind.status:
        raise FunctionError(f"{kind.name} {number}: {answer.status} {body.decode()}")
    return (cpu_seconds(process) - cpu) * 1e3, wall * 1e3
