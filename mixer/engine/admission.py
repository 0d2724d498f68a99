"""Attributes as callers of Mixer send them: which are used, and what becomes of the others."""

import logging
import time
from collections.abc import Callable, Mapping

from mixer.attributes import Manifest, Value
from mixer.engine.token_bucket import TokenBucket

_log = logging.getLogger(__name__)

_LOGS_PER_SECOND = 0.2
_LOG_BURST = 5
_SHOWN = 100


class Admission:
    """Lets attributes in by name and type.

    Args:
        manifest: Which there are.
        clock: Seconds, monotonic.

    Attributes:
        rejected: How many were not used, though their names are known or cannot be.
    """

    def __init__(self, manifest: Manifest, clock: Callable[[], float] = time.monotonic) -> None:
        self._manifest = manifest
        self._logs = TokenBucket(_LOGS_PER_SECOND, _LOG_BURST, clock)
        self.rejected = 0

    def admit(self, sent: Mapping[str, Value]) -> tuple[dict[str, Value], list[str]]:
        """Leave out what is in no manifest, and reject what is not of its type.

        Returns:
            What may be used, and the names of those that were rejected.
        """
        admitted, wrong = self._manifest.admit(sent)
        for one in wrong:
            self.reject(one.name, f"must be {one.wanted}, not {one.given}")
        return admitted, [one.name for one in wrong]

    def reject(self, name: str, reason: str) -> None:
        """Count an attribute that is not used, and log it where there were not too many.

        Args:
            name: As the caller gave it.
            reason: Without the value, which may be secret.
        """
        self.rejected += 1
        if self._logs.take():
            left_out = self._logs.take_refused()
            more = f" ({left_out} before were not logged)" if left_out else ""
            _log.warning("attribute %.*r is rejected: %s%s", _SHOWN, name, reason, more)
