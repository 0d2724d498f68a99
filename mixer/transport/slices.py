"""Long work in slices: others are to get their turn."""

from collections.abc import Callable

SLICE_S = 0.002
"""Seconds that one piece of work has the loop for itself."""


class Slices:
    """Tells when a slice is over.

    Args:
        clock: Seconds, monotonic.
    """

    __slots__ = ("_clock", "_end")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._end = clock() + SLICE_S

    def over(self) -> bool:
        """Whether to let others have their turn now; then the next slice begins."""
        now = self._clock()
        if now < self._end:
            return False
        self._end = now + SLICE_S
        return True
