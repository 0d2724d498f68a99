"""What whoever configured a proxy should know, though only its clients see that it fails."""

import logging
import time
from collections.abc import Callable
from enum import StrEnum, auto

from mixer.engine.token_bucket import TokenBucket

_log = logging.getLogger(__name__)

_LOGS_PER_SECOND = 0.2
_LOG_BURST = 5
_LONGEST = 2048


class About(StrEnum):
    """Each is bounded by itself, so that none hides another."""

    UNTRUSTED = auto()
    MALFORMED = auto()
    ERROR = auto()


class Notices:
    """Logs them for one listener, where there are not too many.

    Args:
        listener: Its name.
        clock: Seconds, monotonic.
    """

    def __init__(self, listener: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._listener = listener
        self._logs = {one: TokenBucket(_LOGS_PER_SECOND, _LOG_BURST, clock) for one in About}

    def tell(self, about: About, text: str) -> None:
        """Log a text, which must hold no secrets."""
        logs = self._logs[about]
        if logs.take():
            left_out = logs.take_refused()
            more = f" ({left_out} before were not logged)" if left_out else ""
            _log.warning("listener %s: %.*s%s", self._listener, _LONGEST, text, more)
