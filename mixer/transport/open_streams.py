"""Streams that are open: how many there may be, and which of them nothing is heard of."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

_SWEEPS = 4
_LONGEST_S, _SHORTEST_S = 15.0, 0.02


class OpenStream(Protocol):
    """A stream of a front end.

    Attributes:
        active_at: When something last came or went, by `time.monotonic`.
    """

    active_at: float

    def expire(self) -> None:
        """End it: nothing came or went for too long. It leaves by itself."""


class OpenStreams:
    """The streams of one front end.

    While there are any, they are looked through from time to time: a timer for each would cost more
    than most of them do.

    Args:
        limit: The most there may be.
        idle_timeout_s: Seconds after which one expires, and up to a quarter more.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, limit: int, idle_timeout_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._idle_timeout_s = idle_timeout_s
        self._interval = min(max(idle_timeout_s / _SWEEPS, _SHORTEST_S), _LONGEST_S)
        self._clock = clock
        self._open: dict[OpenStream, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, stream: OpenStream) -> bool:
        """Note one that was opened; whether there is room for it."""
        if len(self._open) >= self._limit:
            return False
        self._open[stream] = None
        if self._timer is None:
            self._arm()
        return True

    def leave(self, stream: OpenStream) -> None:
        """Forget one; it need not be known."""
        self._open.pop(stream, None)

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._sweep)

    def _sweep(self) -> None:
        oldest = self._clock() - self._idle_timeout_s
        for stream in [one for one in self._open if one.active_at < oldest]:
            stream.expire()
        self._timer = None
        if self._open:
            self._arm()
