"""A token bucket: what may happen often at times, but only so often for long."""

import time
from collections.abc import Callable


class TokenBucket:
    """Lets through a burst, and then a steady rate.

    Args:
        rate: Tokens a second.
        burst: Tokens at the most, and at the start.
        clock: Seconds, monotonic.
    """

    __slots__ = ("_burst", "_clock", "_rate", "_refilled", "_tokens", "refused")

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._tokens = self._burst
        self._refilled = clock()
        self.refused = 0

    def take(self) -> bool:
        """Take a token; without one, count a refusal."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._refilled) * self._rate)
        self._refilled = now
        if self._tokens < 1:
            self.refused += 1
            return False
        self._tokens -= 1
        return True

    def take_refused(self) -> int:
        """How many were refused since this was asked last."""
        refused, self.refused = self.refused, 0
        return refused
