"""Later: the one thing that the host asks of an event loop, and a clock in place of one."""

import asyncio
from collections.abc import Callable
from itertools import count
from queue import SimpleQueue
from typing import Protocol

Cancel = Callable[[], None]
"""Forgets a callback; nothing happens if it was called or cancelled already."""


class Scheduler(Protocol):
    """Calls back later, in the thread that asked, and never from within the request for it."""

    def schedule(self, delay: float, callback: Callable[[], None]) -> Cancel:
        """Call once, after so many seconds at the earliest."""

    def defer(self, callback: Callable[[], None]) -> None:
        """Call once, soon; in the order of the requests."""

    def post(self, callback: Callable[[], None]) -> None:
        """`defer` for other threads; raises RuntimeError where nothing is called any more."""


class LoopScheduler:
    """`Scheduler` over an event loop.

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

    def post(self, callback: Callable[[], None]) -> None:
        """See `Scheduler`."""
        self._loop.call_soon_threadsafe(callback)


class ManualScheduler:
    """A clock that moves when it is told to; without that, nothing is ever called.

    Attributes:
        now: Seconds since it was made.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._order = count()
        self._waiting: dict[tuple[float, int], Callable[[], None]] = {}
        self._posted: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def schedule(self, delay: float, callback: Callable[[], None]) -> Cancel:
        """See `Scheduler`."""
        key = self.now + delay, next(self._order)
        self._waiting[key] = callback

        def cancel() -> None:
            self._waiting.pop(key, None)

        return cancel

    def defer(self, callback: Callable[[], None]) -> None:
        """See `Scheduler`."""
        self.schedule(0.0, callback)

    def next_due(self) -> float | None:
        """When something is due next, on this clock; None if nothing is."""
        return min(self._waiting)[0] if self._waiting else None

    def post(self, callback: Callable[[], None]) -> None:
        """See `Scheduler`."""
        self._posted.put(callback)

    def advance(self, seconds: float = 0.0) -> None:
        """Let time pass, and call what is due on the way, in order."""
        while not self._posted.empty():
            self.defer(self._posted.get())
        end = self.now + seconds
        while self._waiting and (key := min(self._waiting))[0] <= end:
            self.now = key[0]
            self._waiting.pop(key)()
        self.now = end
