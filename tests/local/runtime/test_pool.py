"""How invocations share the execution environments of a function."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from local.runtime import pool as module
from local.runtime.environment import ExecutionEnvironment, FunctionError, Invocation
from local.runtime.pool import Pool, ThrottledError

INVOCATION = Invocation("id", "trace", b"{}")


class Environment:
    """A fake execution environment, whose invocations return its number when `hold` is set."""

    def __init__(self, number: int, hold: asyncio.Event) -> None:
        self.number = number
        self.hold = hold
        self.alive = True
        self.running = False
        self.at_end: Callable[[], object] = lambda: None

    async def invoke(self, _: Invocation) -> bytes:
        assert not self.running, "one invocation at a time"
        self.running = True
        await self.hold.wait()
        self.running = False
        self.at_end()
        if not self.alive:
            raise FunctionError("it was killed")
        return str(self.number).encode()

    def kill(self) -> None:
        self.alive = False
        self.hold.set()


class Fleet:
    """Makes the environments of a pool and records them."""

    def __init__(self) -> None:
        self.made: list[Environment] = []
        self.failures: list[Exception] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.inits = 0
        self.max_inits = 0

    async def start(self) -> ExecutionEnvironment:
        self.inits += 1
        self.max_inits = max(self.max_inits, self.inits)
        await asyncio.sleep(0.01)
        self.inits -= 1
        if self.failures:
            raise self.failures.pop()
        self.made.append(Environment(len(self.made), self.hold))
        return cast("ExecutionEnvironment", self.made[-1])

    @property
    def alive(self) -> int:
        return sum(environment.alive for environment in self.made)


def with_pool(
    steps: Callable[[Fleet, Pool], Coroutine[Any, Any, None]],
    max_environments: int = 10,
    queue_seconds: float = 10,
    inits: int = 8,
) -> None:
    async def run() -> None:
        fleet = Fleet()
        pool = Pool(fleet.start, asyncio.Semaphore(inits), max_environments, queue_seconds)
        await asyncio.wait_for(steps(fleet, pool), 10)
        fleet.hold.set()
        await pool.kill()
        assert fleet.alive == 0
        assert pool.empty

    asyncio.run(run())


async def invoke(pool: Pool, number: int) -> list[tuple[bytes, bool]]:
    results = await asyncio.gather(*(pool.invoke(INVOCATION) for _ in range(number)))
    return [(result.payload, result.cold) for result in results]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def test_the_first_invocation_is_cold_and_the_next_warm() -> None:
    async def steps(_: Fleet, pool: Pool) -> None:
        assert await invoke(pool, 1) == [(b"0", True)]
        assert await invoke(pool, 1) == [(b"0", False)]

    with_pool(steps)


def test_concurrent_invocations_have_an_environment_each() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        fleet.hold.clear()
        requests = asyncio.create_task(invoke(pool, 3))
        await until(lambda: sum(environment.running for environment in fleet.made) == 3)
        fleet.hold.set()
        assert sorted(await requests) == [(b"0", True), (b"1", True), (b"2", True)]

    with_pool(steps)


def test_the_number_of_environments_is_bounded() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        assert len(await invoke(pool, 20)) == 20
        assert len(fleet.made) <= 3

    with_pool(steps, max_environments=3)


def test_the_number_of_inits_at_a_time_is_bounded() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        fleet.hold.clear()
        requests = asyncio.create_task(invoke(pool, 5))
        await until(lambda: len(fleet.made) == 5)
        fleet.hold.set()
        await requests
        assert fleet.max_inits == 2

    with_pool(steps, inits=2)


def test_an_invocation_takes_an_idle_environment_before_its_own_is_started() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        assert [payload for payload, _ in await invoke(pool, 5)] == [b"0"] * 5
        await asyncio.sleep(0.05)
        assert len(fleet.made) <= 2

    with_pool(steps, inits=1)


def test_an_invocation_that_waits_too_long_is_throttled() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        fleet.hold.clear()
        first = asyncio.create_task(pool.invoke(INVOCATION))
        await until(lambda: bool(fleet.made))
        with pytest.raises(ThrottledError):
            await pool.invoke(INVOCATION)
        fleet.hold.set()
        assert (await first).payload == b"0"
        assert await invoke(pool, 1) == [(b"0", False)]

    with_pool(steps, max_environments=1, queue_seconds=0.05)


def test_a_cancelled_invocation_leaves_the_queue() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        fleet.hold.clear()
        first = asyncio.create_task(pool.invoke(INVOCATION))
        await until(lambda: bool(fleet.made))
        second = asyncio.create_task(pool.invoke(INVOCATION))
        await asyncio.sleep(0)
        second.cancel()
        fleet.hold.set()
        await first
        assert await invoke(pool, 1) == [(b"0", False)]

    with_pool(steps, max_environments=1)


def test_an_environment_that_is_handed_to_a_cancelled_invocation_is_not_lost() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        fleet.hold.clear()
        first = asyncio.create_task(pool.invoke(INVOCATION))
        await until(lambda: bool(fleet.made) and fleet.made[0].running)
        second = asyncio.create_task(pool.invoke(INVOCATION))
        await asyncio.sleep(0)
        # The first hands its environment to the second, which is cancelled at the same moment.
        fleet.made[0].at_end = lambda: asyncio.get_running_loop().call_soon(second.cancel)
        fleet.hold.set()
        await asyncio.wait([first, second])
        assert second.cancelled()
        fleet.made[0].at_end = lambda: None
        assert await invoke(pool, 1) == [(b"0", False)]

    with_pool(steps, max_environments=1, queue_seconds=1)


@pytest.mark.parametrize("failure", [FunctionError("it cannot be loaded"), OSError("no more processes")])
def test_a_failed_start_fails_one_invocation_and_the_next_tries_again(failure: Exception) -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        fleet.failures = [failure]
        with pytest.raises(type(failure), match=str(failure)):
            await pool.invoke(INVOCATION)
        assert await invoke(pool, 1) == [(b"0", True)]

    with_pool(steps, max_environments=1)


def test_a_failed_start_does_not_affect_other_waiting_invocations() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        fleet.failures = [FunctionError("it cannot be loaded")] * 2
        results = await asyncio.gather(*(pool.invoke(INVOCATION) for _ in range(5)), return_exceptions=True)
        assert sum(isinstance(result, FunctionError) for result in results) == 2

    with_pool(steps, max_environments=1)


def test_a_dead_environment_is_replaced() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        await invoke(pool, 1)
        fleet.made[0].alive = False  # between two invocations
        assert await invoke(pool, 1) == [(b"1", True)]
        fleet.hold.clear()
        request = asyncio.create_task(pool.invoke(INVOCATION))
        waiting = asyncio.create_task(pool.invoke(INVOCATION))
        await until(lambda: fleet.made[1].running)
        fleet.made[1].kill()  # during an invocation
        with pytest.raises(FunctionError):
            await request
        assert (await waiting).payload == b"2"

    with_pool(steps, max_environments=1)


def test_idle_environments_end_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        await invoke(pool, 1)
        pool.end_idle()
        assert fleet.alive == 1
        monkeypatch.setattr(module, "_IDLE_SECONDS", -1)
        pool.end_idle()
        assert fleet.alive == 0
        assert await invoke(pool, 1) == [(b"1", True)]

    with_pool(steps)


def test_a_closed_pool_finishes_its_invocations_and_keeps_no_process() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        fleet.hold.clear()
        first = asyncio.create_task(pool.invoke(INVOCATION))
        await until(lambda: bool(fleet.made) and fleet.made[0].running)
        second = asyncio.create_task(pool.invoke(INVOCATION))
        await asyncio.sleep(0)
        pool.close()
        fleet.hold.set()
        assert [(await first).payload, (await second).payload] == [b"0", b"0"]
        assert pool.empty
        assert fleet.alive == 0

    with_pool(steps, max_environments=1)


def test_kill_ends_busy_waiting_and_starting_invocations() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        fleet.hold.clear()
        requests = [asyncio.create_task(pool.invoke(INVOCATION)) for _ in range(3)]
        await until(lambda: bool(fleet.made))
        await pool.kill()
        done = await asyncio.gather(*requests, return_exceptions=True)
        assert all(isinstance(result, FunctionError | asyncio.CancelledError) for result in done)
        assert fleet.alive == 0

    with_pool(steps, max_environments=2, inits=1)
