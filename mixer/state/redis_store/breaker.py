"""What keeps a server that is down from costing every host call its timeout."""

import logging
import random
import threading
import time
from collections.abc import Callable

from mixer.state.ports import StoreUnavailableError

_log = logging.getLogger(__name__)

_SHORTEST_WAIT = 0.05
_LONGEST_WAIT = 1.0


class CircuitBreaker:
    """Lets calls through until one fails, and again when the server answers.

    A thread asks meanwhile, so that an outage costs one call its timeout, however long it lasts.

    Args:
        place: Names the server in the log.
        ping: Whether it answers; called in that thread.
    """

    def __init__(self, place: str, ping: Callable[[], bool]) -> None:
        self._place = place
        self._ping = ping
        self._open = False
        self._closing = threading.Event()
        self._prober: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        """Whether the server is down."""
        return self._open

    def check(self) -> None:
        """Raise StoreUnavailableError while the server is down."""
        if self._open:
            raise StoreUnavailableError(f"Redis at {self._place} is down")

    def trip(self, reason: str) -> StoreUnavailableError:
        """Let no more calls through, say so, and return what to raise; for a call that was let."""
        self._open = True
        _log.warning("shared state: Redis at %s is down: %s", self._place, reason)
        self._prober = threading.Thread(target=self._probe, name="mixer-redis-probe", daemon=True)
        self._prober.start()
        return StoreUnavailableError(f"Redis at {self._place}: {reason}")

    def _probe(self) -> None:
        began, wait = time.monotonic(), _SHORTEST_WAIT
        while not self._closing.wait(wait * (0.5 + random.random() / 2)):  # noqa: S311
            if self._ping():
                down = time.monotonic() - began
                _log.warning("shared state: Redis at %s is back after %.1f s", self._place, down)
                self._open = False
                return
            wait = min(wait * 2, _LONGEST_WAIT)

    def close(self) -> None:
        """Ask no more."""
        self._closing.set()
        if self._prober is not None:
            self._prober.join()
