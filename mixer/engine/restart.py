"""When a VM that failed may start again.

Two failures want two answers. A guest that trapped on a request may serve the next one at once:
what must be bounded is the time spent on starts, or a client that knows a trapping request takes
the worker for itself. A guest that does not even start will not do so a moment later: that waits
exponentially longer.
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
    """

    jitter: Callable[[], float] = random.random
    _failed_starts: int = field(default=0, init=False)
    _earliest: float = field(default=0.0, init=False)

    def started(self, now: float, took: float) -> None:
        """A start that took so many seconds succeeded at ``now``."""
        self._failed_starts = 0
        self._earliest = now + took / START_SHARE * (1 + self.jitter() / 2)

    def start_failed(self, now: float) -> None:
        """A start failed at ``now``."""
        delay = min(BASE_DELAY * 2.0**self._failed_starts, MAX_DELAY)
        self._failed_starts = min(self._failed_starts + 1, 32)
        self._earliest = now + delay * (0.5 + self.jitter() / 2)

    def may_start(self, now: float) -> bool:
        """Whether the next start may happen now."""
        return now >= self._earliest

    def wait(self, now: float) -> float:
        """Seconds until the next start may happen."""
        return max(0.0, self._earliest - now)
