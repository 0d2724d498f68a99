"""How far a command is, on standard error, where it takes over a second."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

_T = TypeVar("_T")

_EACH_S = 1.0
_LOOK_AT = 1000


class Progress:
    """Says now and then how much is done.

    Args:
        what: In a word, such as ``records``.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._next = time.monotonic() + _EACH_S

    def tell(self, done: int, of: int | None = None) -> None:
        """Say it, unless it was said a moment ago."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _EACH_S
            total = "" if of is None else f" of {of:,}"
            print(f"{done:,}{total} {self._what}", file=sys.stderr)

    def counted(self, items: Iterable[_T]) -> Iterator[_T]:
        """The same items, counted."""
        for number, item in enumerate(items, start=1):
            yield item
            if number % _LOOK_AT == 0:
                self.tell(number)
