"""What is logged of a service that gives no answers."""

import logging
import math
import time
from collections.abc import Callable

_log = logging.getLogger(__name__)

_QUIET_S = 10.0
_LONGEST = 400


class Outages:
    """Warns of requests about which a service gave no answer, at most every ten seconds.

    Args:
        address: Of the service.
        clock: Seconds, never set back.
    """

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._clock = clock
        self._quiet_until = -math.inf
        self._untold = 0

    def add(self, cause: str, *, refused: bool) -> None:
        """Note one.

        Args:
            cause: Why there was no answer, as gRPC has it.
            refused: Whether the network fail policy refuses the request.
        """
        now = self._clock()
        if now < self._quiet_until:
            self._untold += 1
            return
        _log.warning(
            "the Mixer at %s did not answer: %r; the request is %s by the network fail policy"
            " (%d more since the last warning)",
            self._address, cause[:_LONGEST], "refused" if refused else "allowed", self._untold,
        )  # fmt: skip
        self._quiet_until, self._untold = now + _QUIET_S, 0
