"""The event loop as the host sees it."""

import asyncio
from collections.abc import Callable

from mixer.proxywasm import Cancel, ManualScheduler, Scheduler


class LoopScheduler:
    """`mixer.proxywasm.Scheduler` over an event loop.

    Args:
        loop: Runs in the thread of the VMs.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def schedule(self, delay: float, callback: Callable[[], None]) -> Cancel:
        """See `Scheduler`."""
        return self._loop.call_later(delay, callback).cancel

    def defer(self, callback: Callable[[], None]) -> None:
        """See `Scheduler`."""
        self._loop.call_soon(callback)


def scheduler_of_this_thread() -> Scheduler:
    """That of the running event loop; without one, a scheduler whose time stands still."""
    try:
        return LoopScheduler(asyncio.get_running_loop())
    except RuntimeError:
        return ManualScheduler()
