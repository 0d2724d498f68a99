"""Header maps: lazily decoded, ordered, with duplicates, and able to say what was changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

Pair = tuple[bytes, bytes]
"""A header's name, in lower case, and value."""

_ALIASES = {b"host": b":authority"}


class HeaderSource(Protocol):
    """Where a header map comes from; asked only for what is read."""

    def first(self, name: bytes) -> bytes | None:
        """The first value under a lower-case name."""

    def pairs(self) -> list[Pair]:
        """Every header in order, pseudo-headers first, names in lower case."""

    def count(self) -> int:
        """How many pairs there are."""


class PairSource:
    """A source that holds its headers as pairs."""

    def __init__(self, pairs: list[Pair]) -> None:
        self._pairs = [(name.lower(), value) for name, value in pairs]

    def first(self, name: bytes) -> bytes | None:
        """See `HeaderSource.first`."""
        return next((v for n, v in self._pairs if n == name), None)

    def pairs(self) -> list[Pair]:
        """See `HeaderSource.pairs`."""
        return list(self._pairs)

    def count(self) -> int:
        """See `HeaderSource.count`."""
        return len(self._pairs)


@dataclass(frozen=True, slots=True)
class HeaderChange:
    """How the values under one name differ from the original ones.

    Attributes:
        name: Lower-case header name.
        values: What it has now; empty where the header was removed.
    """

    name: bytes
    values: tuple[bytes, ...]


class HeaderMap(Mapping[str, str]):
    """The headers of a message, as Envoy's HeaderMap behaves.

    Names are compared in lower case and ``host`` is ``:authority``. As a mapping it presents the
    ``request.headers`` attribute, in which the values of one name are joined with a comma.

    Args:
        source: The original headers; not asked for more than is read.
    """

    __slots__ = ("_pairs", "_source")

    def __init__(self, source: HeaderSource) -> None:
        self._source = source
        self._pairs: list[Pair] | None = None

    @classmethod
    def of(cls, *pairs: tuple[str, str]) -> "HeaderMap":
        """Build a map from text."""
        return cls(PairSource([(n.encode(), v.encode()) for n, v in pairs]))

    def first(self, name: bytes) -> bytes | None:
        """The first value of a header, or None."""
        name = _canonical(name)
        if self._pairs is None:
            return self._source.first(name)
        return next((v for n, v in self._pairs if n == name), None)

    def all(self, name: bytes) -> list[bytes]:
        """Every value of a header, in order."""
        name = _canonical(name)
        return [v for n, v in self.pairs() if n == name]

    def pairs(self) -> list[Pair]:
        """Every header in order. The list must not be changed."""
        return self._source.pairs() if self._pairs is None else self._pairs

    def count(self) -> int:
        """How many headers there are, duplicates counted."""
        return self._source.count() if self._pairs is None else len(self._pairs)

    def byte_size(self) -> int:
        """The sum of the lengths of names and values, as Envoy counts a header map."""
        return sum(len(n) + len(v) for n, v in self.pairs())

    def add(self, name: bytes, value: bytes) -> None:
        """Append a header, keeping those of the same name."""
        self._writable().append((_canonical(name), value))

    def replace(self, name: bytes, value: bytes) -> None:
        """Make this the only value of a header, in the place of the first one."""
        name, pairs = _canonical(name), self._writable()
        place = next((i for i, (n, _) in enumerate(pairs) if n == name), len(pairs))
        pairs[place:] = [(name, value), *(p for p in pairs[place:] if p[0] != name)]

    def remove(self, name: bytes) -> None:
        """Remove every value of a header; none is fine."""
        name, pairs = _canonical(name), self._writable()
        pairs[:] = [p for p in pairs if p[0] != name]

    def set_all(self, pairs: list[Pair]) -> None:
        """Replace the whole map."""
        self._pairs = [(_canonical(name), value) for name, value in pairs]

    def _writable(self) -> list[Pair]:
        if self._pairs is None:
            self._pairs = list(self._source.pairs())
        return self._pairs

    def changes(self) -> tuple[HeaderChange, ...]:
        """What differs from the source, in the order of first appearance."""
        if self._pairs is None:
            return ()
        old, new = _grouped(self._source.pairs()), _grouped(self._pairs)
        names = dict.fromkeys((*new, *old))
        return tuple(
            HeaderChange(name, new.get(name, ()))
            for name in names
            if old.get(name) != new.get(name)
        )

    def __getitem__(self, name: str) -> str:
        values = self.all(name.encode())
        if not values:
            raise KeyError(name)
        return b",".join(values).decode("utf-8", "replace")

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(n.decode("utf-8", "replace") for n, _ in self.pairs()))

    def __len__(self) -> int:
        return len({n for n, _ in self.pairs()})


def _canonical(name: bytes) -> bytes:
    name = name.lower()
    return _ALIASES.get(name, name)


def _grouped(pairs: list[Pair]) -> dict[bytes, tuple[bytes, ...]]:
    groups: dict[bytes, tuple[bytes, ...]] = {}
    for name, value in pairs:
        groups[name] = (*groups.get(name, ()), value)
    return groups
