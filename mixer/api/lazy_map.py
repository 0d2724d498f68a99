"""A map of which each value is computed when it is read."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any


class LazyMap(Mapping[str, Any]):
    """A part of what a front end received, as a map.

    Args:
        reads: How to compute each value; what comes out as None is absent.
        source: What they are given.
    """

    __slots__ = ("_reads", "_source")

    def __init__(self, reads: Mapping[str, Callable[[Any], Any]], source: Any) -> None:
        self._reads = reads
        self._source = source

    def __getitem__(self, key: str) -> Any:
        value = self._reads[key](self._source)
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        return (key for key, read in self._reads.items() if read(self._source) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)
