"""How requests share the execution environments of a function."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from local.runtime import pool as module
from local.runtime.environment import ExecutionEnvironment, FunctionError, Invocation
from local.runtime.pool import Pool, ThrottledError

INVOCATION = Invocation("id", "trace", b"{}")


class Environment:
    """Stands in for an execution environment: answers with its number once it is let go."""

    def __init__(self, number: int, hold: asyncio.Event) -> None:
        self.number = number
        self.hold = hold
        self.alive = True
        self.running = False
        self.at_end: Callable[[], object] = lambda: None

    async def invoke(self, _: Invocation) -> bytes:
        assert not self.running, "one request at a time"
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
    """Makes the environments of a pool and remembers them."""

    def __init__(self) -> None:
        self.made: list[Environment] = []
        self.failures: list[Exception] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.loading = 0
        self.most_loading = 0

    async def start(self) -> ExecutionEnvironment:
        self.loading += 1
        self.most_loading = max(self.most_loading, self.loading)
        await asyncio.sleep(0.01)
        self.loading -= 1
        if self.failures:
            raise self.failures.pop()
        self.made.append(Environment(len(self.made), self.hold))
        return cast("ExecutionEnvironment", self.made[-1])

    @property
    def alive(self) -> int:
        return sum(environment.alive for environment in self.made)


def with_pool(
    steps: Callable[[Fleet, Pool], Coroutine[Any, Any, None]],
    most: int = 10,
    patience: float = 10,
    loading: int = 8,
) -> None:
    async def run() -> None:
        fleet = Fleet()
        pool = Pool(fleet.start, asyncio.Semaphore(loading), most, patience)
        await asyncio.wait_for(steps(fleet, pool), 10)
        fleet.hold.set()
        await pool.kill()
        assert fleet.alive == 0
        assert pool.empty

    asyncio.run(run())


async def answers(pool: Pool, requests: int) -> list[tuple[bytes, bool]]:
    several = await asyncio.gather(*(pool.invoke(INVOCATION) for _ in range(requests)))
    return [(answer.payload, answer.cold) for answer in several]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def test_the_first_request_is_cold_and_the_next_warm() -> None:
    async def steps(_: Fleet, pool: Pool) -> None:
        assert await answers(pool, 1) == [(b"0", True)]
        assert await answers(pool, 1) == [(b"0", False)]

    with_pool(steps)


def test_requests_at_a_time_have_an_environment_each() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        fleet.hold.clear()
        requests = asyncio.create_task(answers(pool, 3))
        await until(lambda: sum(environment.running for environment in fleet.made) == 3)
        fleet.hold.set()
        assert sorted(await requests) == [(b"0", True), (b"1", True), (b"2", True)]

    with_pool(steps)


def test_there_are_never_more_than_the_most() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        assert len(await answers(pool, 20)) == 20
        assert len(fleet.made) <= 3

    with_pool(steps, most=3)


def test_no_more_load_at_a_time_than_may() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        fleet.hold.clear()
        requests = asyncio.create_task(answers(pool, 5))
        await until(lambda: len(fleet.made) == 5)
        fleet.hold.set()
        await requests
        assert fleet.most_loading == 2

    with_pool(steps, loading=2)


def test_a_request_takes_what_comes_free_before_its_own_has_been_started() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        assert [payload for payload, _ in await answers(pool, 5)] == [b"0"] * 5
        await asyncio.sleep(0.05)
        assert len(fleet.made) <= 2

    with_pool(steps, loading=1)


def test_a_request_that_waits_too_long_is_throttled() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        fleet.hold.clear()
        first = asyncio.create_task(pool.invoke(INVOCATION))
        await until(lambda: bool(fleet.made))
        with pytest.raises(ThrottledError):
            await pool.invoke(INVOCATION)
        fleet.hold.set()
        assert (await first).payload == b"0"
        assert await answers(pool, 1) == [(b"0", False)]

    with_pool(steps, most=1, patience=0.05)


def test_a_request_that_is_given_up_in_the_queue_leaves_it() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        fleet.hold.clear()
        first = asyncio.create_task(pool.invoke(INVOCATION))
        await until(lambda: bool(fleet.made))
        second = asyncio.create_task(pool.invoke(INVOCATION))
        await asyncio.sleep(0)
        second.cancel()
        fleet.hold.set()
        await first
        assert await answers(pool, 1) == [(b"0", False)]

    with_pool(steps, most=1)


def test_an_environment_handed_to_a_request_that_gives_up_is_not_lost() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        fleet.hold.clear()
        first = asyncio.create_task(pool.invoke(INVOCATION))
        await until(lambda: bool(fleet.made) and fleet.made[0].running)
        second = asyncio.create_task(pool.invoke(INVOCATION))
        await asyncio.sleep(0)
        # The first hands its environment to the second, which is cancelled before it learns of it.
        fleet.made[0].at_end = lambda: asyncio.get_running_loop().call_soon(second.cancel)
        fleet.hold.set()
        await asyncio.wait([first, second])
        assert second.cancelled()
        fleet.made[0].at_end = lambda: None
        assert await answers(pool, 1) == [(b"0", False)]

    with_pool(steps, most=1, patience=1)


@pytest.mark.parametrize("failure", [FunctionError("it cannot be loaded"), OSError("no more processes")])
def test_a_failed_start_fails_one_request_and_the_next_tries_again(failure: Exception) -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        fleet.failures = [failure]
        with pytest.raises(type(failure), match=str(failure)):
            await pool.invoke(INVOCATION)
        assert await answers(pool, 1) == [(b"0", True)]

    with_pool(steps, most=1)


def test_every_waiting_request_outlives_another_s_failed_start() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        fleet.failures = [FunctionError("it cannot be loaded")] * 2
        several = await asyncio.gather(*(pool.invoke(INVOCATION) for _ in range(5)), return_exceptions=True)
        assert sum(isinstance(answer, FunctionError) for answer in several) == 2

    with_pool(steps, most=1)


def test_a_dead_environment_is_replaced() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        await answers(pool, 1)
        fleet.made[0].alive = False  # in between two requests
        assert await answers(pool, 1) == [(b"1", True)]
        fleet.hold.clear()
        request = asyncio.create_task(pool.invoke(INVOCATION))
        waiting = asyncio.create_task(pool.invoke(INVOCATION))
        await until(lambda: fleet.made[1].running)
        fleet.made[1].kill()  # during one
        with pytest.raises(FunctionError):
            await request
        assert (await waiting).payload == b"2"

    with_pool(steps, most=1)


def test_idle_environments_end_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        await answers(pool, 1)
        pool.end_idle()
        assert fleet.alive == 1
        monkeypatch.setattr(module, "_IDLE_SECONDS", -1)
        pool.end_idle()
        assert fleet.alive == 0
        assert await answers(pool, 1) == [(b"1", True)]

    with_pool(steps)


def test_a_closed_pool_finishes_what_it_has_and_keeps_nothing() -> None:
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

    with_pool(steps, most=1)


def test_killing_a_pool_ends_busy_waiting_and_starting_alike() -> None:
    async def steps(fleet: Fleet, pool: Pool) -> None:
        fleet.hold.clear()
        requests = [asyncio.create_task(pool.invoke(INVOCATION)) for _ in range(3)]
        await until(lambda: bool(fleet.made))
        await pool.kill()
        done = await asyncio.gather(*requests, return_exceptions=True)
        assert all(isinstance(answer, FunctionError | asyncio.CancelledError) for answer in done)
        assert fleet.alive == 0

    with_pool(steps, most=2, loading=1)
