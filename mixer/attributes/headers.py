"""Header maps: lazily decoded, ordered, with duplicates, and able to say what was changed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

Pair = tuple[bytes, bytes]
"""A header's name, in lower case, and value."""

_ALIASES = {b"host": b":authority"}


class HeaderSource(Protocol):
    """Where a header map comes from; asked only for what is read."""

    def first(self, name: bytes) -> bytes | None:
        """The first value under a lower-case name."""

    def all(self, name: bytes) -> tuple[bytes, ...]:
        """Every value under a lower-case name, in order."""

    def pairs(self) -> list[Pair]:
        """Every header in order, pseudo-headers first, names in lower case."""

    def count(self) -> int:
        """How many pairs there are."""


class PairSource:
    """A source that holds its headers as pairs."""

    def __init__(self, pairs: list[Pair]) -> None:
        self._pairs = [(canonical_name(name), value) for name, value in pairs]

    def first(self, name: bytes) -> bytes | None:
        """See `HeaderSource.first`."""
        return next((v for n, v in self._pairs if n == name), None)

    def all(self, name: bytes) -> tuple[bytes, ...]:
        """See `HeaderSource.all`."""
        return tuple(v for n, v in self._pairs if n == name)

    def pairs(self) -> list[Pair]:
        """See `HeaderSource.pairs`."""
        return list(self._pairs)

    def count(self) -> int:
        """See `HeaderSource.count`."""
        return len(self._pairs)


_Values = dict[bytes, tuple[bytes, ...]]

SavedHeaders = tuple[_Values, list[Pair] | None, dict[bytes, None]]
"""What `HeaderMap.save` notes."""


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

    Decoding every header costs more than most adapters' work, so that a header which is replaced,
    removed or new is only noted (`_noted`). The map is decoded as a whole when somebody reads all
    of it, or makes a change whose place in the order a note cannot say.

    Args:
        source: The original headers; not asked for more than is needed.
    """

    __slots__ = ("_noted", "_pairs", "_removed", "_source")

    def __init__(self, source: HeaderSource) -> None:
        self._source = source
        self._noted: _Values = {}
        self._pairs: list[Pair] | None = None
        self._removed: dict[bytes, None] = {}  # a set that keeps its order

    @classmethod
    def of(cls, *pairs: tuple[str, str]) -> "HeaderMap":
        """Build a map from text."""
        return cls(PairSource([(n.encode(), v.encode()) for n, v in pairs]))

    def first(self, name: bytes) -> bytes | None:
        """The first value of a header, or None."""
        name = canonical_name(name)
        if self._pairs is not None:
            return next((v for n, v in self._pairs if n == name), None)
        if name in self._noted:
            return next(iter(self._noted[name]), None)
        return self._source.first(name)

    def all(self, name: bytes) -> tuple[bytes, ...]:
        """Every value of a header, in order."""
        name = canonical_name(name)
        if self._pairs is not None:
            return tuple(v for n, v in self._pairs if n == name)
        return self._noted[name] if name in self._noted else self._source.all(name)

    def original(self, name: bytes) -> tuple[bytes, ...]:
        """Every value that a header had before any change, in order; by its canonical name."""
        return self._source.all(name)

    def pairs(self) -> list[Pair]:
        """Every header in order. The list must not be changed."""
        untouched = self._pairs is None and not self._noted
        return self._source.pairs() if untouched else self._decoded()

    def count(self) -> int:
        """How many headers there are, duplicates counted."""
        if self._pairs is not None:
            return len(self._pairs)
        changed = sum(len(v) - len(self._source.all(n)) for n, v in self._noted.items())
        return self._source.count() + changed

    def byte_size(self) -> int:
        """The sum of the lengths of names and values, as Envoy counts a header map."""
        return sum(len(n) + len(v) for n, v in self.pairs())

    def add(self, name: bytes, value: bytes) -> None:
        """Append a header, keeping those of the same name."""
        name = canonical_name(name)
        if self._pairs is None and name not in self._noted and not self._source.all(name):
            self._noted[name] = (value,)
        else:
            self._decoded().append((name, value))

    def replace(self, name: bytes, value: bytes) -> None:
        """Make this the only value of a header, in the place of the first one."""
        name = canonical_name(name)
        if self._pairs is None and self._noted.get(name) != ():
            self._noted[name] = (value,)
            return
        pairs = self._decoded()
        place = next((i for i, (n, _) in enumerate(pairs) if n == name), len(pairs))
        pairs[place:] = [(name, value), *(p for p in pairs[place:] if p[0] != name)]

    def remove(self, name: bytes) -> None:
        """Remove every value of a header; none is fine."""
        name = canonical_name(name)
        self._removed[name] = None
        if self._pairs is None:
            self._noted[name] = ()
        else:
            self._pairs[:] = [p for p in self._pairs if p[0] != name]

    def set_all(self, pairs: list[Pair]) -> None:
        """Replace the whole map."""
        self._pairs = [(canonical_name(name), value) for name, value in pairs]

    def _decoded(self) -> list[Pair]:
        """The pairs, with what was noted worked in; later changes are made there."""
        if self._pairs is None:
            self._pairs = list(_merged(self._source.pairs(), self._noted))
        return self._pairs

    def changes(self, *, source_is_complete: bool = True) -> tuple[HeaderChange, ...]:
        """What differs from the source.

        Args:
            source_is_complete: Whether the source has every header of the message. A proxy may
                withhold some, so that a removal counts even of a header that is not there.
        """
        old, new = self._old_and_new()
        changed = [HeaderChange(n, v) for n, v in new.items() if v != old(n)]
        if not source_is_complete:
            absent = (n for n in self._removed if not new.get(n) and not old(n))
            changed += [HeaderChange(name, ()) for name in absent]
        return tuple(changed)

    def _old_and_new(self) -> tuple[Callable[[bytes], tuple[bytes, ...]], _Values]:
        """What a name had, and what each name has now, of those that may differ."""
        if self._pairs is None:
            return self._source.all, self._noted
        old = _grouped(self._source.pairs())
        return lambda name: old.get(name, ()), dict.fromkeys(old, ()) | _grouped(self._pairs)

    def save(self) -> SavedHeaders:
        """Note the state, for `restore`."""
        pairs = None if self._pairs is None else list(self._pairs)
        return dict(self._noted), pairs, dict(self._removed)

    def reset(self) -> None:
        """Forget every change."""
        self._noted, self._pairs, self._removed = {}, None, {}

    def restore(self, saved: SavedHeaders) -> None:
        """Forget every change since `save`."""
        self._noted, self._pairs, self._removed = saved

    def __getitem__(self, name: str) -> str:
        values = self.all(name.encode(errors="surrogateescape"))
        if not values:
            raise KeyError(name)
        return b",".join(values).decode(errors="surrogateescape")

    def __iter__(self) -> Iterator[str]:
        names = dict.fromkeys(name for name, _ in self.pairs())
        return (name.decode(errors="surrogateescape") for name in names)

    def __len__(self) -> int:
        return len({n for n, _ in self.pairs()})


def canonical_name(name: bytes) -> bytes:
    """A header's name as header maps have it: in lower case, ``host`` as ``:authority``."""
    name = name.lower()
    return _ALIASES.get(name, name)


def _merged(pairs: list[Pair], noted: Mapping[bytes, tuple[bytes, ...]]) -> Iterator[Pair]:
    """Put what was noted in the place of the first header of its name, or at the end."""
    left = dict(noted)
    for name, value in pairs:
        if name not in noted:
            yield name, value
        else:
            yield from ((name, v) for v in left.pop(name, ()))
    yield from ((name, v) for name, values in left.items() for v in values)


def _grouped(pairs: list[Pair]) -> _Values:
    groups: dict[bytes, list[bytes]] = {}
    for name, value in pairs:
        groups.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in groups.items()}
