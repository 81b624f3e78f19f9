"""Measures FastAPI as a server, under uvicorn on the same machine: its cost without Lambda."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Final
from urllib.parse import urlencode

from tqdm import tqdm

from bench.environment import FunctionError, cpu_seconds
from bench.figures import spread
from bench.packages import FASTAPI, Subject, token, variables
from bench.warm import Request, warm_up_and_repeats
from bench.workload import Kind, event, kinds

START_SECONDS: Final = 30.0


def measure(subject: Subject, url: str, repeats: int) -> dict[str, Request]:
    """Return what each kind of request costs the server, with one client and one worker; by kind."""
    requests = {}
    with _server(subject, url) as (process, connection):
        for kind in tqdm(kinds(), "FastAPI under uvicorn"):
            warm_up, measured = warm_up_and_repeats(kind, repeats)
            times = [_send(process, connection, kind, number) for number in range(warm_up + measured)]
            cpu, wall = zip(*times[warm_up:], strict=True)
            requests[kind.name] = Request(spread(cpu), spread(wall))
    return requests


@contextmanager
def _server(subject: Subject, url: str) -> Iterator[tuple[int, HTTPConnection]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen(  # noqa: S603  # the application that is measured
        command, cwd=subject.compiled.task, env=os.environ | variables(url)
    )
    try:
        connection = HTTPConnection("127.0.0.1", port)
        deadline = time.monotonic() + START_SECONDS
        while connection.sock is None:
            try:
                connection.connect()
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield process.pid, connection
        connection.close()
    finally:
        process.terminate()
        process.wait()


def _send(process: int, connection: HTTPConnection, kind: Kind, number: int) -> tuple[float, float]:
    """Return the CPU and the wall time of a request, in ms."""
    request = event(kind, number, token(FASTAPI))
    query = urlencode(request["queryStringParameters"] or {})
    path = f"{request['path']}?{query}" if query else request["path"]
    cpu, started = cpu_seconds(process), time.perf_counter()
    connection.request(request["httpMethod"], path, request["body"], request["headers"])
    response = connection.getresponse()
    body = response.read()
    wall = time.perf_counter() - started
    if response.status != kind.status:
        raise FunctionError(f"{kind.name} {number}: {response.status} {body.decode()}")
    return (cpu_seconds(process) - cpu) * 1e3, wall * 1e3
