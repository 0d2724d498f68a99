"""What modules log, bounded: a module that logs for every request must not fill the disk."""

import logging
import time
from collections.abc import Callable

from mixer.engine.token_bucket import TokenBucket
from mixer.proxywasm import LogLevel

LINES_PER_SECOND = 100
BURST = 200

_LEVELS = {
    LogLevel.TRACE: logging.DEBUG,
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARN: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
    LogLevel.CRITICAL: logging.CRITICAL,
}


class GuestLog:
    """The log of one adapter, with a token bucket in front.

    Args:
        name: The adapter; its logger is ``mixer.adapter.<name>``.
        clock: Seconds, monotonic.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = logging.getLogger(f"mixer.adapter.{name}")
        self._bucket = TokenBucket(LINES_PER_SECOND, BURST, clock)

    def __call__(self, level: LogLevel, message: str) -> None:
        """Log a message, or count it where there were too many."""
        if not self._bucket.take():
            return
        if left_out := self._bucket.take_refused():
            self._log.warning("%d messages left out: over %d a second", left_out, LINES_PER_SECOND)
        self._log.log(_LEVELS[level], "%s", _one_line(message))


def _one_line(message: str) -> str:
    """Escape what could forge another log line or drive a terminal."""
    if message.isprintable():
        return message
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
