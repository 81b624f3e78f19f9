"""The execution environments of one function: started on demand, reused, ended when idle."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from local.runtime.environment import ExecutionEnvironment, Invocation

_MOST_ENVIRONMENTS = 10
_QUEUE_SECONDS = 10.0
_IDLE_SECONDS = 300.0


class ThrottledError(Exception):
    """No execution environment came free in time."""


@dataclass(frozen=True)
class Answer:
    """The JSON text that a function answered, and whether its environment was new."""

    payload: bytes
    cold: bool


class Pool:
    """Gives each request an environment of its own.

    `start` makes an environment; `loading` bounds how many are being made at a time, over all pools: they
    share one machine, where more of them at once only take longer. At most `most` exist, and a request waits
    at most `patience` seconds for one.
    """

    def __init__(
        self,
        start: Callable[[], Awaitable[ExecutionEnvironment]],
        loading: asyncio.Semaphore,
        most: int = _MOST_ENVIRONMENTS,
        patience: float = _QUEUE_SECONDS,
    ) -> None:
        self._start = start
        self._loading = loading
        self._most = most
        self._patience = patience
        self._new: set[ExecutionEnvironment] = set()
        self._idle: list[tuple[float, ExecutionEnvironment]] = []
        self._busy: set[ExecutionEnvironment] = set()
        self._queue: deque[asyncio.Future[ExecutionEnvironment]] = deque()
        self._starts: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def empty(self) -> bool:
        """Whether it has no process left and nothing that waits for one."""
        return not (self._idle or self._busy or self._queue or self._starts)

    async def invoke(self, invocation: Invocation) -> Answer:
        """Run a request in an environment that is free, else in the next to be new or free.

        Raises `ThrottledError` when none is in time, and what the environment's `invoke` raises.
        """
        environment = await self._acquire()
        cold = environment in self._new
        self._new.discard(environment)
        try:
            return Answer(await environment.invoke(invocation), cold)
        finally:
            self._release(environment)

    def end_idle(self) -> None:
        """End the environments that have had no request for a while."""
        limit = time.monotonic() - _IDLE_SECONDS
        while self._idle and self._idle[0][0] < limit:
            self._end(self._idle.pop(0)[1])

    def close(self) -> None:
        """End every environment: an idle one now, a busy one after its request and those that wait."""
        self._closed = True
        while self._idle:
            self._end(self._idle.pop()[1])

    async def kill(self) -> None:
        """End every environment now; returns when none is left."""
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
        place: asyncio.Future[ExecutionEnvironment] = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        self._start_missing()
        try:
            async with asyncio.timeout(self._patience):
                return await place
        except BaseException as error:
            if place in self._queue:
                self._queue.remove(place)
            elif place.done() and not place.cancelled() and place.exception() is None:
                # Handed over in the very moment in which we gave up.
                self._release(place.result())
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
        """Hand the environment to the first in the queue, else keep it."""
        while self._queue:
            place = self._queue.popleft()
            if not place.done():
                self._busy.add(environment)
                place.set_result(environment)
                return
        if self._closed:
            self._end(environment)
        else:
            self._idle.append((time.monotonic(), environment))

    def _start_missing(self) -> None:
        """Start an environment for each request in the queue, as far as there may be more of them."""
        existing = len(self._idle) + len(self._busy)
        while len(self._starts) < min(len(self._queue), self._most - existing):
            self._starts.add(asyncio.create_task(self._add()))

    async def _add(self) -> None:
        try:
            async with self._loading:
                # Another environment may have come free while this one waited for its turn.
                if self._queue:
                    environment = await self._start()
                    self._new.add(environment)
                    self._offer(environment)
        except Exception as error:
            # The function's fault or the machine's: the request that has waited longest learns of it.
            if self._queue and not (place := self._queue.popleft()).done():
                place.set_exception(error)
        finally:
            self._starts.discard(cast("asyncio.Task[None]", asyncio.current_task()))
            self._start_missing()

    def _end(self, environment: ExecutionEnvironment) -> None:
        self._new.discard(environment)
        environment.kill()
