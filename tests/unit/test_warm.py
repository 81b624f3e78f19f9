"""What bench/warm.py leaves behind when a request fails."""

from pathlib import Path
from typing import Any

import pytest

from bench import warm, workload
from bench.runtime import FunctionError
from bench.stage import Package
from bench.targets import Target


class Environment:
    """Stands for a process."""

    def __init__(self, *_: object) -> None:
        self.closed = False
        STARTED.append(self)

    def invoke(self, _event: object) -> Any:  # noqa: ANN401  # as it has it
        raise FunctionError("broken")

    def close(self) -> None:
        self.closed = True


STARTED: list[Environment] = []


def test_a_request_that_fails_behind_the_proxy_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "Environment", Environment)
    package = Package("users.handler.handler", Path(), Path())
    client = warm._Client({"users": Target("users", package, package, 1.0)})  # noqa: SLF001
    client.start("users", "postgresql://u@127.0.0.1:1/x")
    with pytest.raises(FunctionError, match="broken"):
        warm._round_trips(client, "users", "postgresql://u@127.0.0.1:1/x", workload.kinds()[0])  # noqa: SLF001
    measured, proxied = STARTED
    assert proxied.closed
    assert not measured.closed
    client.close()
    assert measured.closed
