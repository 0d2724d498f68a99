"""How attribute values look to a guest, and how a property path finds one."""

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from mixer.attributes import (
    LEGACY_NAMES,
    Duration,
    Message,
    Timestamp,
    Uint,
    Value,
)
from mixer.cel import GROUPS, AttributeGroup
from mixer.proxywasm.filter_state import FilterStateMap
from mixer.proxywasm.pairs import serialize

MAX_PATH_BYTES = 16 * 1024
_SEPARATOR = b"\0"
_INDEX = re.compile(r"\s*\+?\d{1,9}\s*", re.ASCII)
_SHORT = 256
_SHORT_PATHS = 1024
_I64 = range(-(1 << 63), 1 << 63)


def _text(value: str) -> bytes:
    return value.encode(errors="surrogateescape")


def _number(number: int) -> bytes:
    return (number & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little")


def _time(nanoseconds: int) -> bytes:
    """What is out of range is at its end."""
    return _number(min(max(nanoseconds, _I64.start), _I64.stop - 1))


SCALARS: dict[type, Callable[[Any], bytes]] = {
    bytes: bytes,
    Message: bytes,
    str: _text,
    bool: lambda flag: b"\x01" if flag else b"\0",
    int: _number,
    Uint: _number,
    Timestamp: _time,
    Duration: _time,
    float: struct.Struct("<d").pack,
}
_GROUPS = {AttributeGroup, FilterStateMap}


class NotALeaf(Exception):  # noqa: N818 - an answer of the look-up, not a failure
    """What is asked for cannot be serialized: a group such as ``request``, or null."""


def encode(value: Any) -> bytes:
    """Serialize a value as Envoy hands it to a module.

    Raises:
        NotALeaf: It has no serialized form: null, a type, or a group of attributes.
    """
    scalar = SCALARS.get(type(value))
    if scalar is not None:
        return scalar(value)
    if isinstance(value, Mapping) and type(value) not in _GROUPS:
        return serialize([(encode(k), encode(v)) for k, v in value.items()])
    if isinstance(value, Sequence):
        return serialize([(encode(v), b"") for v in value])
    raise NotALeaf


def encode_known(value: Value | None) -> bytes | None:
    """The same, but None for an attribute that is absent."""
    return None if value is None else encode(value)


def split(path: bytes) -> tuple[str, ...]:
    """The parts of a NUL-separated path.

    Raises:
        NotALeaf: There are none.
    """
    return _split_short(path) if len(path) <= _SHORT else _split(path)


def _split(path: bytes) -> tuple[str, ...]:
    # The C++ SDK ends every part of a path with a NUL, the last one too.
    if not path:
        raise NotALeaf
    path = path.removesuffix(_SEPARATOR)
    return tuple(path.decode(errors="surrogateescape").split("\0"))


_split_short = lru_cache(_SHORT_PATHS)(_split)


Find = Callable[[str], Value | None]
"""Finds an attribute by its whole name."""


def look_up(find: Find, parts: Sequence[str]) -> Value | None:
    """Find what the parts of a path name among Envoy's attributes, or None.

    Raises:
        NotALeaf: They name a group.
    """
    first = parts[0]
    if first in GROUPS:
        if len(parts) == 1:
            raise NotALeaf
        return walk(find(f"{first}.{parts[1]}"), parts[2:])
    return None if "." in first else walk(find(first), parts[1:])


def look_up_older(find: Find, parts: Sequence[str]) -> Value | None:
    """Find what the parts of a path name in spellings that Envoy has no more, or None."""
    name = LEGACY_NAMES.get(parts[0])
    return None if name is None else walk(find(name), parts[1:])


def walk(value: Any, keys: Sequence[str]) -> Value | None:
    """What is found in a value by going from key to key, or None.

    Raises:
        NotALeaf: It is null.
    """
    for key in keys:
        value = _step(value, key)
        if value is _NOTHING:
            return None
        if value is None:
            raise NotALeaf
    return value  # type: ignore[no-any-return]


_NOTHING = object()


def _step(value: Any, key: str) -> Any:
    if isinstance(value, Message):
        value = value.fields
    if isinstance(value, Mapping):
        try:
            return value[key]
        except KeyError:
            return _NOTHING
    if isinstance(value, list) and _INDEX.fullmatch(key):
        return value[int(key)] if int(key) < len(value) else _NOTHING
    return _NOTHING
