"""What a VM needs from the world around it."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from mixer.proxywasm.abi import LogLevel

LogSink = Callable[[LogLevel, str], None]
"""Takes a message of a module."""


def _discard(_level: LogLevel, _message: str) -> None:
    """Drop a message."""


@dataclass(frozen=True, slots=True)
class Services:
    """Clocks, randomness and the log of one VM; tests replace them.

    Attributes:
        log: Where the module's messages go, those below ``log_level`` left out.
        log_level: The lowest level that is logged; the module can ask for it.
        wall_clock: Nanoseconds since the Unix epoch.
        monotonic_clock: Nanoseconds since some moment.
        random: So many random bytes.
    """

    log: LogSink = _discard
    log_level: LogLevel = LogLevel.INFO
    wall_clock: Callable[[], int] = time.time_ns
    monotonic_clock: Callable[[], int] = time.monotonic_ns
    random: Callable[[int], bytes] = os.urandom
