"""Long work in slices: others are to get their turn.

One slice in each turn of the event loop is not fair: gRPC hands over one call in a turn, so that
whoever asks something small would wait a slice for it, and many slices where there are many works.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from weakref import WeakKeyDictionary

SLICE_S = 0.002
"""Seconds that long work has the loop for itself; all else has as many, if it needs them."""

_IDLE_S = 0.00005
_IDLE_TURNS = 3


class Slices:
    """Shares an event loop between long works, of which one at a time goes on, and all else.

    Args:
        clock: Seconds, monotonic.
    """

    __slots__ = ("_clock", "_turn")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turn = asyncio.Lock()

    async def work(self, steps: Iterable[object]) -> None:
        """Do some work.

        Args:
            steps: Each does a little of it.
        """
        left = iter(steps)
        is_over = False
        while not is_over:
            async with self._turn:
                await self._give_way()
                is_over = self._work_on(left)

    def _work_on(self, steps: Iterator[object]) -> bool:
        """Work for a slice; whether there is nothing left."""
        end = self._clock() + SLICE_S
        return all(self._clock() < end for _ in steps)

    async def _give_way(self) -> None:
        """Let the loop do all else for as long as a slice, or until there is nothing to do."""
        end = self._clock() + SLICE_S
        idle = 0
        while idle < _IDLE_TURNS and (began := self._clock()) < end:
            await asyncio.sleep(0)
            idle = idle + 1 if self._clock() - began < _IDLE_S else 0


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Slices] = WeakKeyDictionary()


def slices_of_this_loop() -> Slices:
    """The one of the running event loop: only works that share one are fair to all else."""
    return _of_loops.setdefault(asyncio.get_running_loop(), Slices())
