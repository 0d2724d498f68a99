"""Who may ask on a listener."""

import logging
import math
import time
from collections.abc import Collection

from mixer.config import BELOW
from mixer.transport.identity import Identity

_log = logging.getLogger(__name__)

NOT_ALLOWED = "the caller is not allowed to ask"
"""What others are told."""

_QUIET_S = 5.0


class AllowList:
    """The callers of one listener.

    Args:
        listener: Its name.
        patterns: SPIFFE IDs, perhaps with `BELOW`, and DNS names.

    Attributes:
        listener: As given.
        refused: Calls of others.
    """

    def __init__(self, listener: str, patterns: Collection[str]) -> None:
        self.listener = listener
        self.refused = 0
        self._names = frozenset(one for one in patterns if not one.endswith(BELOW))
        self._below = tuple(one.removesuffix("*") for one in patterns if one.endswith(BELOW))
        self._quiet_until = -math.inf

    def admits(self, identity: Identity | None) -> bool:
        """Whether a caller may ask; what is refused is counted, and logged from time to time."""
        if identity is not None and any(map(self._has, identity.names)):
            return True
        self.refused += 1
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET_S
            who = "without a certificate" if identity is None else repr(identity.principal)
            _log.warning(
                "listener %s: the caller %s is not in callers; %d calls were refused so far",
                self.listener, who, self.refused,
            )  # fmt: skip
        return False

    def _has(self, name: str) -> bool:
        return name in self._names or name.startswith(self._below)
