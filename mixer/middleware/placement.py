"""One running decider for each event loop."""

import asyncio
from contextlib import AsyncExitStack

from mixer.middleware.ports import Decider, Running


class Placement:
    """Starts a decider in each event loop that needs it.

    Args:
        decider: To start.
    """

    def __init__(self, decider: Decider) -> None:
        self._decider = decider
        self._started: dict[asyncio.AbstractEventLoop, _Started] = {}

    async def running(self) -> Running:
        """The one of this event loop; the first call starts it.

        Raises:
            Exception: It does not start; another call tries again.
        """
        loop = asyncio.get_running_loop()
        started = self._started.get(loop)
        if started is None:
            self._forget_closed()
            started = self._started[loop] = _Started(self._decider)
        elif started.running is not None:
            return started.running
        try:
            return await asyncio.shield(started.task)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._started.pop(loop, None)
            raise

    async def close(self) -> None:
        """Stop that of this event loop, if there is one; a later call starts another one."""
        started = self._started.pop(asyncio.get_running_loop(), None)
        if started is not None:
            await started.stop()

    def _forget_closed(self) -> None:
        for loop in [loop for loop in self._started if loop.is_closed()]:
            del self._started[loop]


class _Started:
    """A decider that is started, or about to be."""

    def __init__(self, decider: Decider) -> None:
        self._stack = AsyncExitStack()
        self.running: Running | None = None
        self.task = asyncio.get_running_loop().create_task(self._start(decider))

    async def _start(self, decider: Decider) -> Running:
        self.running = await self._stack.enter_async_context(decider.running())
        return self.running

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self._stack.aclose()
