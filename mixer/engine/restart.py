"""When a VM that failed may start again.

Two failures want two answers. A guest that trapped on a request may serve the next one at once:
what must be bounded is the time spent on starts, or a client that knows a trapping request takes
the worker for itself. A guest that does not even start will not do so a moment later: that waits
exponentially longer.

FAIL_RELOAD has Envoy's rule instead of the first: a fixed time from one start to the next. A guest
that trapped in a tick starts again without a request, and must not do so in a loop: that waits
exponentially longer as well, until it has run for a while.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

START_SHARE = 0.1
"""The most of a worker's time that the starts of one adapter may take."""

BASE_DELAY = 1.0
"""Seconds to wait after the first start that failed."""

MAX_DELAY = 60.0
"""Seconds to wait at the most."""


@dataclass(slots=True)
class RestartPolicy:
    """Decides the earliest moment of the next start.

    Attributes:
        jitter: Returns a number from 0 to 1, so that workers do not start in step.
        reload_backoff: With FAIL_RELOAD the seconds from one start to the next, up to half as many
            more; else None.
    """

    jitter: Callable[[], float] = random.random
    reload_backoff: float | None = None
    _failed_starts: int = field(default=0, init=False)
    _lonely_starts: int = field(default=0, init=False)
    _earliest: float = field(default=0.0, init=False)
    _last_start: float = field(default=0.0, init=False)

    def started(self, now: float, took: float) -> None:
        """A start that took so many seconds succeeded at ``now``."""
        self._failed_starts = 0
        self._last_start = now
        wait = took / START_SHARE if self.reload_backoff is None else self.reload_backoff
        self._earliest = now + wait * (1 + self.jitter() / 2)

    def joined(self, now: float, took: float) -> None:
        """A plugin started again, in a VM that runs; the next start waits so much longer."""
        self._failed_starts = 0
        if self.reload_backoff is None:
            self._earliest = max(self._earliest, now) + took / START_SHARE

    def recovered(self) -> None:
        """A start succeeded that makes no other one wait."""
        self._failed_starts = 0

    def start_failed(self, now: float) -> None:
        """A start failed at ``now``."""
        self._earliest = now + self._delay(self._failed_starts)
        self._failed_starts += 1

    def _delay(self, before: int) -> float:
        delay = min(BASE_DELAY * 2.0 ** min(before, 32), MAX_DELAY)
        return delay * (0.5 + self.jitter() / 2)

    def wait_alone(self, now: float) -> float:
        """Seconds until a VM that failed is to start without a request."""
        if now - self._last_start > MAX_DELAY:
            self._lonely_starts = 0
        delay = self._delay(self._lonely_starts)
        self._lonely_starts += 1
        return max(delay, self.wait(now))

    def may_start(self, now: float) -> bool:
        """Whether the next start may happen now."""
        return now >= self._earliest

    def wait(self, now: float) -> float:
        """Seconds until the next start may happen."""
        return max(0.0, self._earliest - now)
