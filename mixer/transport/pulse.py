"""What wakes the tasks of one stream."""

import asyncio
from collections.abc import Callable


class Pulse:
    """Wakes the tasks of a stream when something of it has changed."""

    __slots__ = ("_changed",)

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def beat(self) -> None:
        """Something has changed."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition holds."""
        while not holds():
            await self._changed.wait()
