"""Many properties that are read together: an attribute that several are of is found once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mixer.attributes import Message, Value
from mixer.cel import GROUPS
from mixer.proxywasm.property_codec import NotALeaf, encode, encode_known, split, walk

UNREADABLE = object()
"""Of a property that has no serialized form."""

Found = Any
"""Bytes; None for what is absent; or `UNREADABLE`."""

_Keys = tuple[str, ...]
_Members = tuple[tuple[int, _Keys], ...]


@dataclass(frozen=True, slots=True)
class PropertyPlan:
    """What is read.

    Attributes:
        paths: As a module has them.
        attributes: Envoy's attributes by name, and what is read of each: the place of a path, and
            the keys behind the attribute's name.
        others: The places of all other paths.
    """

    paths: tuple[bytes, ...]
    attributes: tuple[tuple[str, _Members], ...]
    others: tuple[int, ...]

    @classmethod
    def of(cls, paths: Sequence[bytes]) -> "PropertyPlan":
        """A plan for paths whose parts are joined by NULs."""
        attributes: dict[str, list[tuple[int, _Keys]]] = {}
        others = []
        for place, path in enumerate(paths):
            parts = split(path) if path else ()
            if len(parts) > 1 and parts[0] in GROUPS:
                attributes.setdefault(f"{parts[0]}.{parts[1]}", []).append((place, parts[2:]))
            else:
                others.append(place)
        known = tuple((name, tuple(members)) for name, members in attributes.items())
        return cls(tuple(paths), known, tuple(others))

    def read(
        self, attribute: Callable[[str], Value | None], other: Callable[[bytes], bytes | None]
    ) -> list[Found]:
        """Every value.

        Args:
            attribute: Finds an attribute by its name.
            other: Finds a property by its path. Raises NotALeaf.
        """
        found: list[Found] = [None] * len(self.paths)
        for name, members in self.attributes:
            value = attribute(name)
            if value is not None:
                _take(value, members, found)
        for place in self.others:
            try:
                found[place] = other(self.paths[place])
            except NotALeaf:
                found[place] = UNREADABLE
        return found


def _take(value: Value, members: _Members, found: list[Found]) -> None:
    inner = value.fields if isinstance(value, Message) else value
    is_map = isinstance(inner, Mapping)
    for place, keys in members:
        if is_map and len(keys) == 1:
            try:
                found[place] = _encoded(inner[keys[0]])  # type: ignore[call-overload,index]
            except KeyError:
                continue
        else:
            found[place] = _leaf(value, keys)


def _leaf(value: Value, keys: _Keys) -> Found:
    try:
        return encode_known(walk(value, keys) if keys else value)
    except NotALeaf:
        return UNREADABLE


def _encoded(value: Any) -> Found:
    """What a map has; null cannot be told."""
    if type(value) is str:
        return value.encode(errors="surrogateescape")
    try:
        return encode(value)
    except NotALeaf:
        return UNREADABLE
