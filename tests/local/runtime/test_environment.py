"""What a function sees in its process, and what happens when it fails."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest

from local.runtime.environment import (
    ExecutionEnvironment,
    FunctionError,
    FunctionTimeoutError,
    Invocation,
)
from local.runtime.function import Function
from tests.local.sample import DEPENDENCIES
from tests.support.processes import alive, until

Json = Any
Invoke = Callable[..., Coroutine[Any, Any, Json]]


def echo(project: Path) -> Function:
    """Return the sample's function."""
    return Function(
        name="Echo",
        handler="echo.handler.handler",
        code=project / "functions",
        layers=(project / "layers/common",),
        timeout=1,
        memory=256,
        environment={"STAGE": "local", "DATABASE_URL": "postgresql://app@/social"},
    )


def in_environment(
    project: Path,
    steps: Callable[[ExecutionEnvironment, Invoke], Coroutine[Any, Any, None]],
    dependencies: Path = DEPENDENCIES,
    **overrides: str,
) -> None:
    """Start an environment of the sample's function; call `steps` with it and a function that invokes it."""

    async def run() -> None:
        environment = await ExecutionEnvironment.start(echo(project), overrides, dependencies)

        async def invoke(**query: str) -> Json:
            event = json.dumps({"queryStringParameters": query or None}).encode()
            response = json.loads(await environment.invoke(Invocation("the-id", "Root=1", event)))
            return json.loads(response["body"])

        try:
            await steps(environment, invoke)
        finally:
            environment.kill()

    asyncio.run(run())


def test_a_function_gets_only_the_variables_that_it_declares(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME_SECRET", "leaked")
    monkeypatch.setenv("PYTHONPATH", "/leaked")

    async def steps(_: ExecutionEnvironment, invoke: Invoke) -> None:
        variables = (await invoke(do="environment"))["variables"]
        # The interpreter adds LC_CTYPE on a machine without the locale.
        runtime = {name for name in variables if name.startswith(("AWS_", "_X_AMZN"))} | {"LC_CTYPE"}
        assert variables.keys() - runtime == {
            *("STAGE", "DATABASE_URL"),
            *("LAMBDA_TASK_ROOT", "LANG", "PATH", "TZ", "_HANDLER"),
        }
        assert variables["STAGE"] == "local"
        assert variables["DATABASE_URL"] == "postgresql://ours/social"
        assert variables["TZ"] == ":UTC"
        assert variables["_HANDLER"] == "echo.handler.handler"
        assert variables["AWS_LAMBDA_FUNCTION_NAME"] == "Echo"
        assert variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
        assert variables["AWS_REGION"] == "us-east-1"
        assert variables["AWS_ENDPOINT_URL_SESV2"] == "http://127.0.0.1:9"
        credentials = [name for name in variables if "KEY" in name or "TOKEN" in name]
        assert {variables[name] for name in credentials} == {"local"}
        assert len(credentials) == 3
        assert variables["_X_AMZN_TRACE_ID"] == "Root=1"

    # The function does not declare JWT_KEYS, so it does not get it. Every function may call AWS.
    in_environment(
        project,
        steps,
        DATABASE_URL="postgresql://ours/social",
        JWT_KEYS="{}",
        AWS_ENDPOINT_URL_SESV2="http://127.0.0.1:9",
    )


def test_only_the_layer_its_dependencies_and_the_standard_library_are_importable(project: Path) -> None:
    dependencies = project / "dependencies"
    dependencies.mkdir()

    async def steps(_: ExecutionEnvironment, invoke: Invoke) -> None:
        path = (await invoke(do="environment"))["path"]
        assert path[:2] == [str(project / "layers/common/python"), str(dependencies)]
        assert not [entry for entry in path[2:] if "site-packages" in entry or entry.startswith(str(project))]
        # A sibling function, a package of the virtual environment, and the local run itself.
        for name in ("gate", "pytest", "local", "pool"):
            with pytest.raises(FunctionError, match=f"No module named {name!r}"):
                await invoke(do="import", name=name)
        assert await invoke(do="import", name="common.responses") == "imported"

    in_environment(project, steps, dependencies)


def test_the_context_object(project: Path) -> None:
    async def steps(_: ExecutionEnvironment, invoke: Invoke) -> None:
        context = await invoke(do="context")
        assert 0 < context.pop("left") <= 1000
        assert context.pop("log_stream_name").startswith("local/")
        assert context == {
            "aws_request_id": "the-id",
            "function_name": "Echo",
            "function_version": "$LATEST",
            "invoked_function_arn": "arn:aws:lambda:us-east-1:123456789012:function:Echo",
            "memory_limit_in_mb": "256",
            "log_group_name": "/aws/lambda/Echo",
            "client_context": None,
            "identity": None,
        }

    in_environment(project, steps)


def test_prints_do_not_mix_with_results(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def steps(_: ExecutionEnvironment, invoke: Invoke) -> None:
        assert await invoke(do="print") == "printed"

    in_environment(project, steps)
    logged = capfd.readouterr().err
    assert "x" * 100_000 in logged
    assert "written to the descriptor" in logged


def test_metrics_are_not_shown(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def steps(_: ExecutionEnvironment, invoke: Invoke) -> None:
        assert await invoke(do="metrics") == "printed"

    in_environment(project, steps)
    assert capfd.readouterr().err == 'before {"_aws": {}}\n\n'


def test_one_process_runs_many_invocations_and_survives_exceptions(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def steps(environment: ExecutionEnvironment, invoke: Invoke) -> None:
        first = (await invoke(do="environment"))["pid"]
        with pytest.raises(FunctionError, match="the handler is broken"):
            await invoke(do="raise")
        with pytest.raises(FunctionError, match="not JSON serializable"):
            await invoke(do="not JSON")
        assert (await invoke(do="environment"))["pid"] == first
        assert environment.alive

    in_environment(project, steps)
    assert "Echo failed: ValueError: the handler is broken" in capfd.readouterr().err.splitlines()


def test_a_process_that_ends(project: Path) -> None:
    async def steps(environment: ExecutionEnvironment, invoke: Invoke) -> None:
        with pytest.raises(FunctionError, match="exit code 3"):
            await invoke(do="exit")
        assert not environment.alive

    in_environment(project, steps)


def test_a_function_that_takes_too_long_is_killed(project: Path) -> None:
    async def steps(environment: ExecutionEnvironment, invoke: Invoke) -> None:
        start = time.monotonic()
        with pytest.raises(FunctionTimeoutError, match="timed out after 1 s"):
            await invoke(do="sleep", seconds="30")
        assert time.monotonic() - start < 5
        assert not environment.alive

    in_environment(project, steps)


def test_a_cancelled_invocation_ends_its_process(project: Path) -> None:
    async def steps(environment: ExecutionEnvironment, invoke: Invoke) -> None:
        task = asyncio.create_task(invoke(do="sleep", seconds="30"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not environment.alive

    in_environment(project, steps)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import nothing_of_this_name", "No module named 'nothing_of_this_name'"),
        ("def handler(:", "invalid syntax"),
        ("", "no attribute 'handler'"),
        ("import os; os._exit(4)", "exit code 4"),
        ("import sys; sys.exit(5)", "5"),
    ],
)
def test_a_function_that_cannot_be_loaded(
    project: Path, code: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "functions/echo/handler.py").write_text(code)

    async def steps(_: ExecutionEnvironment, __: Invoke) -> None:
        raise AssertionError("it was loaded")

    with pytest.raises(FunctionError, match=message):
        in_environment(project, steps)
    if "exit" not in message:
        assert "Echo cannot be loaded: " in capfd.readouterr().err.splitlines()[-1]


def test_stale_bytecode_is_ignored(project: Path) -> None:
    handler = project / "functions/echo/handler.py"

    async def check(expected: str) -> None:
        async def steps(environment: ExecutionEnvironment, _: Invoke) -> None:
            assert json.loads(await environment.invoke(Invocation("id", "", b"{}"))) == expected

        await asyncio.to_thread(in_environment, project, steps)

    for word in ("one", "two"):
        handler.write_text(f"def handler(event, context): return {word!r}\n")
        os.utime(handler, (1_000_000_000, 1_000_000_000))
        asyncio.run(check(word))


def test_a_busy_process_does_not_outlive_the_gateway(project: Path) -> None:
    program = f"""
import asyncio, json, os, sys
from pathlib import Path
from local.runtime.environment import ExecutionEnvironment, Invocation
from tests.local.runtime.test_environment import DEPENDENCIES, echo

async def main():
    environment = await ExecutionEnvironment.start(echo(Path({str(project)!r})), {{}}, DEPENDENCIES)
    event = b'{{"queryStringParameters": {{"do": "environment"}}}}'
    result = await environment.invoke(Invocation("id", "", event))
    asyncio.get_running_loop().call_later(0.2, os._exit, 0)
    print(json.loads(json.loads(result)["body"])["pid"], flush=True)
    event = b'{{"queryStringParameters": {{"do": "sleep", "seconds": "60"}}}}'
    await environment.invoke(Invocation("id", "", event))

asyncio.run(main())
"""

    async def run() -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, cwd=Path(__file__).parents[3], stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        return int(output)

    pid = asyncio.run(run())
    until(lambda: not alive(pid))


def test_an_invocation_does_not_change_its_event() -> None:
    event: Mapping[str, object] = {"text": 'é"\\', "number": 1.5, "nothing": None}
    frame = json.loads(Invocation("id", "trace", json.dumps(event).encode()).encode(2.5))
    assert frame == {"request_id": "id", "trace_id": "trace", "timeout": 2.5, "event": event}
