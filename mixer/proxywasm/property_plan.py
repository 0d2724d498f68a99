"""Many properties that are read together: an attribute that several are of is found once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mixer.attributes import Message, Resolver, Value
from mixer.cel import GROUPS
from mixer.proxywasm.property_codec import SCALARS, NotALeaf, encode, split, walk

UNREADABLE = object()
"""Of a property that has no serialized form."""

Found = Any
"""Bytes; None for what is absent; or `UNREADABLE`."""

_MOST_TABLES = 16
_Keys = tuple[str, ...]
_Members = tuple[tuple[int, str, _Keys], ...]
"""Place, key, and the keys after it."""

_Wanted = tuple[int | None, _Members]
"""The place of an attribute itself, or those of what is in it, and their keys."""

_Read = Callable[[Any], Value | None]
_Steps = tuple[tuple[_Read, int | None, _Members], ...]


class PropertyPlan:
    """What is read.

    Args:
        paths: As a module has them: the parts are joined by NULs.

    Attributes:
        paths: The same.
    """

    __slots__ = ("_attributes", "_others", "_tables", "paths")

    def __init__(self, paths: Sequence[bytes]) -> None:
        self.paths = tuple(paths)
        members: dict[str, list[tuple[int, str, _Keys]]] = {}
        wanted: list[tuple[str, _Wanted]] = []
        others = []
        for place, path in enumerate(paths):
            parts = split(path) if path else ()
            if len(parts) < 2 or parts[0] not in GROUPS:
                others.append(place)
                continue
            name, keys = f"{parts[0]}.{parts[1]}", parts[2:]
            if keys:
                members.setdefault(name, []).append((place, keys[0], keys[1:]))
            else:
                wanted.append((name, (place, ())))
        wanted += [(name, (None, tuple(of))) for name, of in members.items()]
        self._attributes = tuple(wanted)
        self._others = tuple(others)
        self._tables: dict[tuple[int, int], tuple[Any, _Steps, _Steps]] = {}

    def read(
        self, attribute: Callable[[str], Value | None], other: Callable[[bytes], bytes | None]
    ) -> list[Found]:
        """Every value.

        Args:
            attribute: Finds an attribute by its name.
            other: Finds a property by its path. Raises NotALeaf.
        """
        found = self._read_others(other)
        for name, (place, members) in self._attributes:
            value = attribute(name)
            if value is not None:
                _take(value, place, members, found)
        return found

    def read_directly(
        self,
        context: Any,
        direct: tuple[Mapping[str, Resolver], Any],
        phased: Mapping[str, _Read],
        other: Callable[[bytes], bytes | None],
    ) -> list[Found]:
        """Every value, without a look-up of each attribute by its name.

        Args:
            context: What those of `phased` are given.
            direct: The resolvers of a front end, and what they are given.
            phased: How to read those that are another thing to this context.
            other: Finds a property by its path. Raises NotALeaf.
        """
        resolvers, source = direct
        known = self._tables.get((id(resolvers), id(phased)))
        if known is None:
            known = self._bind(resolvers, phased)
        found = self._read_others(other)
        for steps, given in ((known[1], source), (known[2], context)):
            for read, place, members in steps:
                value = read(given)
                if value is None:
                    continue
                if place is None:
                    _take_members(value, members, found)
                    continue
                scalar = SCALARS.get(type(value))
                found[place] = _leaf(value) if scalar is None else scalar(value)
        return found

    def _bind(
        self, resolvers: Mapping[str, Resolver], phased: Mapping[str, _Read]
    ) -> tuple[Any, _Steps, _Steps]:
        """What is to be done for a front end: there are few, and their tables do not change."""
        if len(self._tables) >= _MOST_TABLES:
            self._tables.clear()

        def steps(table: Mapping[str, _Read], but: Mapping[str, _Read]) -> _Steps:
            return tuple(
                (table[name], *wanted)
                for name, wanted in self._attributes
                if name in table and name not in but
            )

        # The tables are kept: nothing else has their ids as long as they live.
        tables = resolvers, phased
        bound = tables, steps(resolvers, phased), steps(phased, {})
        self._tables[id(resolvers), id(phased)] = bound
        return bound

    def _read_others(self, other: Callable[[bytes], bytes | None]) -> list[Found]:
        found: list[Found] = [None] * len(self.paths)
        for place in self._others:
            try:
                found[place] = other(self.paths[place])
            except NotALeaf:
                found[place] = UNREADABLE
        return found


def _take(value: Value, place: int | None, members: _Members, found: list[Found]) -> None:
    if place is None:
        _take_members(value, members, found)
    else:
        found[place] = _leaf(value)


def _take_members(value: Value, members: _Members, found: list[Found]) -> None:
    inner: Any = value.fields if isinstance(value, Message) else value
    if type(inner) is dict:
        _take_items(inner, members, found)
        return
    is_map = isinstance(inner, Mapping)
    for place, key, more in members:
        if is_map and not more:
            try:
                found[place] = _leaf(inner[key])
            except KeyError:
                continue
        else:
            found[place] = _within(value, (key, *more))


def _take_items(inner: dict[Any, Any], members: _Members, found: list[Found]) -> None:
    get = inner.get
    for place, key, more in members:
        item = get(key)
        if type(item) is str and not more:  # by far the most
            found[place] = item.encode("utf-8", "surrogateescape")
        elif item is not None or key in inner:
            found[place] = _within(item, more) if more else _leaf(item)


def _within(value: Any, keys: _Keys) -> Found:
    try:
        item = walk(value, keys)
    except NotALeaf:
        return UNREADABLE
    return None if item is None else _leaf(item)


def _leaf(value: Any) -> Found:
    """A value that is there; null cannot be told."""
    try:
        return encode(value)
    except NotALeaf:
        return UNREADABLE
