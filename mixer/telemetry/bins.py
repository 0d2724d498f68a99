"""Durations, counted by powers of two of nanoseconds, as histograms of seconds."""

from itertools import pairwise

from mixer.proxywasm import Durations
from mixer.telemetry.family import Bins

_NS = 1_000_000_000


class Bounds:
    """Upper bounds of buckets.

    Args:
        exponents: Of two, ascending; each bound is so many nanoseconds.

    Attributes:
        seconds: The bounds.
    """

    def __init__(self, exponents: range) -> None:
        self.seconds = tuple((1 << n) / _NS for n in exponents)
        self._edges = (0, *(n + 1 for n in exponents))

    def counts(self, durations: Durations) -> tuple[int, ...]:
        """How many are in each bucket, and above the last."""
        found = [sum(durations.counts[low:high]) for low, high in pairwise(self._edges)]
        return (*found, sum(durations.counts[self._edges[-1] :]))


CALL_BOUNDS = Bounds(range(16, 35))
"""66 microseconds to 17 seconds, each twice the one before it."""

CALLBACK_BOUNDS = Bounds(range(10, 33, 2))
"""One microsecond to 4.3 seconds, each four times the one before it."""


def bins_of(durations: Durations, bounds: Bounds) -> Bins:
    """Durations as they are told, in seconds."""
    return Bins(bounds.counts(durations), durations.total / _NS, bounds.seconds)
