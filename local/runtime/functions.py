"""A set of functions, each with its pool of execution environments."""

import asyncio
import os
from collections.abc import Mapping, Set
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from local.runtime.environment import DEBUG_SECONDS, ExecutionEnvironment, Invocation
from local.runtime.function import Function
from local.runtime.pool import QUEUE_SECONDS, Pool, Result


class Functions:
    """Invokes functions by name.

    `overrides` are values for variables that a function declares. With `debug`, one invocation runs at a
    time, so that only one function reads from the terminal, and timeouts are a day.
    """

    def __init__(self, overrides: Mapping[str, str], dependencies: Path, *, debug: bool = False) -> None:
        self._overrides = overrides
        self._dependencies = dependencies
        self._debug = debug
        self._terminal = asyncio.Lock() if debug else nullcontext()
        self._inits = asyncio.Semaphore(os.cpu_count() or 1)
        self._pools: dict[str, Pool] = {}
        self._closing: list[Pool] = []

    def deploy(self, functions: Mapping[str, Function], restarted: Set[str]) -> None:
        """Use these functions from now on. The functions that `restarted` names get new environments.

        Invocations that run or wait already keep the old environments.
        """
        kept = {name: pool for name, pool in self._pools.items() if name in functions.keys() - restarted}
        for name in self._pools.keys() - kept.keys():
            self._pools[name].close()
            self._closing.append(self._pools[name])
        self._closing = [pool for pool in self._closing if not pool.empty]
        new = {
            name: Pool(
                partial(
                    ExecutionEnvironment.start,
                    function,
                    self._overrides,
                    self._dependencies,
                    debug=self._debug,
                ),
                self._inits,
                queue_seconds=DEBUG_SECONDS if self._debug else QUEUE_SECONDS,
            )
            for name, function in functions.items()
            if name not in kept
        }
        self._pools = kept | new

    async def invoke(self, name: str, invocation: Invocation) -> Result:
        """Invoke the function with that logical id; raises what `Pool.invoke` raises."""
        async with self._terminal:
            return await self._pools[name].invoke(invocation)

    async def end_idle(self) -> None:
        """End idle environments every minute, until cancelled."""
        while True:
            await asyncio.sleep(60)
            for pool in self._pools.values():
                pool.end_idle()

    async def kill(self) -> None:
        """Kill every environment and return when all have ended."""
        await asyncio.gather(*(pool.kill() for pool in [*self._pools.values(), *self._closing]))
