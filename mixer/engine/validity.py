"""How long, and how often, an answer may be used again."""

from collections.abc import Iterable

UNLIMITED = -1
"""A use count: any number of times."""


class Validity:
    """What callers that keep answers are told.

    Args:
        duration: Nanoseconds.
        use_count: How often; 0 is never, and negative any number of times.
    """

    __slots__ = ("_duration", "_use_count")

    def __init__(self, duration: int, use_count: int = UNLIMITED) -> None:
        self._duration = duration
        self._use_count = use_count

    @property
    def duration(self) -> int:
        """Nanoseconds."""
        return self._duration

    @property
    def use_count(self) -> int:
        """How often; 0 is never, and negative any number of times."""
        return self._use_count

    @property
    def is_of_use(self) -> bool:
        """Whether the answer may be used again at all."""
        return self.duration > 0 and self.use_count != 0

    def __repr__(self) -> str:
        return f"Validity({self.duration} ns, {self.use_count})"


def shortest(validities: Iterable[Validity]) -> Validity | None:
    """What holds of several answers together; None of none."""
    found = list(validities)
    if len(found) < 2:
        return found[0] if found else None
    counts = [v.use_count for v in found if v.use_count >= 0]
    return Validity(min(v.duration for v in found), min(counts, default=UNLIMITED))
