"""The execution environments of one function: started on demand, reused, ended when idle."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from local.runtime.environment import ExecutionEnvironment, Invocation

_MAX_ENVIRONMENTS = 10
# An invocation waits as long as an init may take: on a slow machine it must not be throttled.
QUEUE_SECONDS = 30.0
_IDLE_SECONDS = 300.0


class ThrottledError(Exception):
    """No execution environment was available in time."""


@dataclass(frozen=True)
class Result:
    """The result of an invocation as JSON text, and whether it was a cold start."""

    payload: bytes
    cold: bool


class Pool:
    """Gives each running invocation an environment of its own.

    `start` creates an environment. All pools share `inits`, which limits how many environments initialise at
    once: more would only slow each other down on one machine. At most `max_environments` exist, and an
    invocation waits at most `queue_seconds` for one.
    """

    def __init__(
        self,
        start: Callable[[], Awaitable[ExecutionEnvironment]],
        inits: asyncio.Semaphore,
        max_environments: int = _MAX_ENVIRONMENTS,
        queue_seconds: float = QUEUE_SECONDS,
    ) -> None:
        self._start = start
        self._inits = inits
        self._max_environments = max_environments
        self._queue_seconds = queue_seconds
        self._never_invoked: set[ExecutionEnvironment] = set()
        self._idle: list[tuple[float, ExecutionEnvironment]] = []
        self._busy: set[ExecutionEnvironment] = set()
        self._queue: deque[asyncio.Future[ExecutionEnvironment]] = deque()
        self._starts: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def empty(self) -> bool:
        """Whether no process is left and no invocation waits for one."""
        return not (self._idle or self._busy or self._queue or self._starts)

    async def invoke(self, invocation: Invocation) -> Result:
        """Run an invocation in an idle environment, else in the next that is started or becomes idle.

        Raises `ThrottledError` when none is available in time, and what the environment's `invoke` raises.
        """
        environment = await self._acquire()
        cold = environment in self._never_invoked
        self._never_invoked.discard(environment)
        try:
            return Result(await environment.invoke(invocation), cold)
        finally:
            self._release(environment)

    def end_idle(self) -> None:
        """End the environments without an invocation in the last minutes."""
        limit = time.monotonic() - _IDLE_SECONDS
        while self._idle and self._idle[0][0] < limit:
            self._end(self._idle.pop(0)[1])

    def close(self) -> None:
        """End idle environments now, and busy ones when they have served their invocation and the queue."""
        self._closed = True
        while self._idle:
            self._end(self._idle.pop()[1])

    async def kill(self) -> None:
        """Kill every environment and return when all have ended."""
        self.close()
        while self._queue:
            self._queue.popleft().cancel()
        for environment in self._busy:
            environment.kill()
        for start in self._starts:
            start.cancel()
        await asyncio.gather(*self._starts, return_exceptions=True)

    async def _acquire(self) -> ExecutionEnvironment:
        while self._idle:
            _, environment = self._idle.pop()
            if environment.alive:
                self._busy.add(environment)
                return environment
            self._end(environment)
        waiter: asyncio.Future[ExecutionEnvironment] = asyncio.get_running_loop().create_future()
        self._queue.append(waiter)
        self._start_missing()
        try:
            async with asyncio.timeout(self._queue_seconds):
                return await waiter
        except BaseException as error:
            if waiter in self._queue:
                self._queue.remove(waiter)
            elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                # The environment was handed over at the moment of the timeout.
                self._release(waiter.result())
            if isinstance(error, TimeoutError):
                raise ThrottledError from None
            raise

    def _release(self, environment: ExecutionEnvironment) -> None:
        self._busy.discard(environment)
        if not environment.alive:
            self._end(environment)
            self._start_missing()
        else:
            self._offer(environment)

    def _offer(self, environment: ExecutionEnvironment) -> None:
        """Hand the environment to the first invocation in the queue; without one, it becomes idle."""
        while self._queue:
            waiter = self._queue.popleft()
            if not waiter.done():
                self._busy.add(environment)
                waiter.set_result(environment)
                return
        if self._closed:
            self._end(environment)
        else:
            self._idle.append((time.monotonic(), environment))

    def _start_missing(self) -> None:
        """Start an environment for each invocation in the queue, up to the maximum."""
        existing = len(self._idle) + len(self._busy)
        while len(self._starts) < min(len(self._queue), self._max_environments - existing):
            self._starts.add(asyncio.create_task(self._add()))

    async def _add(self) -> None:
        try:
            async with self._inits:
                # Another environment may have become idle while this one waited for its init.
                if self._queue:
                    environment = await self._start()
                    self._never_invoked.add(environment)
                    self._offer(environment)
        except Exception as error:
            # No environment started, so the invocation that has waited longest fails with the error.
            if self._queue and not (waiter := self._queue.popleft()).done():
                waiter.set_exception(error)
        finally:
            self._starts.discard(cast("asyncio.Task[None]", asyncio.current_task()))
            self._start_missing()

    def _end(self, environment: ExecutionEnvironment) -> None:
        self._never_invoked.discard(environment)
        environment.kill()
