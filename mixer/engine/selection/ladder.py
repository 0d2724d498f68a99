"""Which of many texts a text begins with, found without trying each."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Ladder(Generic[_T]):
    """Values by prefix.

    In the order of texts, all that a prefix begins comes right after it. So of the prefixes that
    are not after a text, the last one begins with every one that the text begins with: they are the
    rungs below it.

    Args:
        values: By prefix.
    """

    __slots__ = ("_below", "_prefixes", "_values")

    def __init__(self, values: Mapping[str, _T]) -> None:
        self._prefixes = sorted(values)
        self._values = [values[prefix] for prefix in self._prefixes]
        self._below: list[int] = []
        for number, prefix in enumerate(self._prefixes):
            below = number - 1
            while below >= 0 and not prefix.startswith(self._prefixes[below]):
                below = self._below[below]
            self._below.append(below)

    def __len__(self) -> int:
        return len(self._prefixes)

    def of(self, text: str) -> Iterator[_T]:
        """The values of all prefixes that begin a text, the longest first."""
        prefixes, below = self._prefixes, self._below
        rung = bisect_right(prefixes, text) - 1
        while rung >= 0:
            if text.startswith(prefixes[rung]):
                yield self._values[rung]
            rung = below[rung]
