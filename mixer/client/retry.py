"""Which failures another try can mend, and when to try."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from mixer.client.results import (
    ABORTED,
    CANCELLED,
    DEADLINE_EXCEEDED,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
)
from mixer.client.settings import RetrySettings

_RETRYABLE = frozenset({UNAVAILABLE, RESOURCE_EXHAUSTED, ABORTED, DEADLINE_EXCEEDED, CANCELLED})

_TOO_LARGE = "eceived message larger than max"
"""What gRPC itself, in C or in Go, says of a message that it does not take: it never will."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that the server did not answer.

    Attributes:
        code: Of gRPC.
        message: And in words.
    """

    code: int
    message: str

    @property
    def retryable(self) -> bool:
        """Whether another try can mend it."""
        return self.code in _RETRYABLE and _TOO_LARGE not in self.message


class Backoff:
    """How long to wait before another try: by chance, and the longer the more there were.

    Args:
        settings: The bounds.
        chance: From 0 to 1.
    """

    def __init__(
        self, settings: RetrySettings, chance: Callable[[], float] = random.random
    ) -> None:
        self._base = settings.base
        self._most = settings.most
        self._chance = chance

    def delay(self, tries: int) -> float:
        """Seconds.

        Args:
            tries: How many failed; 1 or more.
        """
        most = min(self._most, self._base * 2.0 ** min(tries - 1, 30))
        return self._base + self._chance() * (most - self._base)
