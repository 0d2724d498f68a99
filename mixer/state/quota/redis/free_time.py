"""Time as a server is given it: that in which the event loop was late is not the server's."""

import asyncio
from collections.abc import Callable

TICKS = 32
"""That a span has. However long the loop is held up, one has gone by: an answer that came meanwhile
is read in the rounds that follow, of which there must be enough to connect as well."""


class FreeTime:
    """Counts ticks of the event loop while there is something to wait for.

    Args:
        span: Seconds that ``TICKS`` take in a loop that is never late.
        ticked: Called after each tick; whether there is more to wait for.

    Attributes:
        ticks: So many, since the start.
    """

    def __init__(self, span: float, ticked: Callable[[], bool]) -> None:
        self.ticks = 0
        self._seconds = span / TICKS
        self._ticked = ticked
        self._next: asyncio.TimerHandle | None = None

    def run(self) -> None:
        """Count from now on, in the running loop."""
        if self._next is None:
            self._next = asyncio.get_running_loop().call_later(self._seconds, self._tick)

    def _tick(self) -> None:
        self._next = None
        self.ticks += 1
        if self._ticked():
            self.run()

    def close(self) -> None:
        """Count no more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
