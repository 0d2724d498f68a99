"""How a run waits: with a clock that jumps to what is due next, or in an event loop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from mixer.callouts.ports import Callouts, NoCallouts
from mixer.proxywasm import LoopScheduler, ManualScheduler, Scheduler, StreamContext, WasmVm

T = TypeVar("T")
_POLL_S = 0.005


class Waiter(Protocol):
    """Lets happen what a module waits for.

    Attributes:
        scheduler: What calls back later.
        callouts: What modules may ask of the network.
    """

    scheduler: Scheduler
    callouts: Callouts

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end what waits by the following two."""

    async def wait_for(self, context: StreamContext, seconds: float) -> None:
        """Wait until a paused stream is woken, so many seconds at the most."""

    async def pass_time(self, seconds: float) -> None:
        """Let so much time pass."""

    async def drain(self, vm: WasmVm, seconds: float) -> None:
        """Wait until the callouts of a VM are answered, so many seconds at the most."""


class JumpingWaiter:
    """Without a network, time costs nothing."""

    def __init__(self) -> None:
        self._time = ManualScheduler()
        self.scheduler: Scheduler = self._time
        self.callouts: Callouts = NoCallouts("this run names none (--cluster)")

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """See `Waiter`; nothing here suspends, so that no event loop is needed."""
        try:
            work.send(None)
        except StopIteration as end:
            result: T = end.value
            return result
        raise RuntimeError("the run waits for something else than its waiter")

    async def wait_for(self, context: StreamContext, seconds: float) -> None:
        """See `Waiter`."""
        woken: list[bool] = []
        context.wait(lambda: woken.append(True))
        end = self._time.now + seconds
        while not woken and (due := self._time.next_due()) is not None and due <= end:
            self._time.advance(due - self._time.now)

    async def pass_time(self, seconds: float) -> None:
        """See `Waiter`."""
        self._time.advance(seconds)

    async def drain(self, vm: WasmVm, seconds: float) -> None:
        """See `Waiter`; without a network no callout is under way."""


class LoopWaiter:
    """With real callouts, time is what it is.

    Args:
        runner: Has the event loop.
        callouts: Belong to that loop.
    """

    def __init__(self, runner: asyncio.Runner, callouts: Callouts) -> None:
        self._runner = runner
        self.scheduler: Scheduler = LoopScheduler(runner.get_loop())
        self.callouts = callouts

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """See `Waiter`."""
        return self._runner.run(work)

    async def wait_for(self, context: StreamContext, seconds: float) -> None:
        """See `Waiter`."""
        woken = asyncio.Event()
        context.wait(woken.set)
        try:
            async with asyncio.timeout(seconds):
                await woken.wait()
        except TimeoutError:
            return

    async def pass_time(self, seconds: float) -> None:
        """See `Waiter`."""
        await asyncio.sleep(seconds)

    async def drain(self, vm: WasmVm, seconds: float) -> None:
        """See `Waiter`."""
        end = self._runner.get_loop().time() + seconds
        while vm.callouts.awaited and self._runner.get_loop().time() < end:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
