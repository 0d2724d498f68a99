"""How attribute values look to a guest, and how a property path finds one."""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mixer.attributes import LEGACY_NAMES, AttributeBag, Value
from mixer.proxywasm.pairs import serialize

MAX_PATH_BYTES = 16 * 1024
_SEPARATOR = b"\0"
_MAPS_OF_OBJECTS = ("filter_state", "upstream_filter_state")


def _text(value: str) -> bytes:
    return value.encode(errors="surrogateescape")


_SCALARS: tuple[tuple[type, Callable[[Any], bytes]], ...] = (
    (bytes, bytes),
    (str, _text),
    (bool, lambda flag: b"\x01" if flag else b"\0"),  # before int, which it is too
    (int, lambda number: (number & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little")),
    (float, struct.Struct("<d").pack),
)


class NotALeaf(Exception):  # noqa: N818 - an answer of the look-up, not a failure
    """The path names a group of attributes, such as ``request``."""


def encode(value: Value | None) -> bytes:
    """Serialize a value as Envoy hands it to a module."""
    if value is None:
        return b""
    scalar = next((to for kind, to in _SCALARS if isinstance(value, kind)), None)
    if scalar is not None:
        return scalar(value)
    if isinstance(value, Mapping):
        pairs = [(_text(str(k)), encode(v)) for k, v in value.items()]
        return serialize(pairs)
    assert isinstance(value, Sequence)
    return serialize([(encode(v), b"") for v in value])


def look_up(bag: AttributeBag, path: bytes) -> Value | None:
    """Find what a NUL-separated path names, or None.

    Raises:
        NotALeaf: The path is empty or names a group.
    """
    # The C++ SDK ends every part of a path with a NUL, the last one too.
    parts = path.removesuffix(_SEPARATOR).decode("utf-8", "replace").split("\0")
    parts[0] = LEGACY_NAMES.get(parts[0], parts[0]) if not bag.knows(parts[0]) else parts[0]
    if "." in parts[0] and parts[0].startswith("xds."):
        parts[:1] = parts[0].split(".", 1)
    for length in (2, 1):
        name = ".".join(parts[:length])
        if len(parts) >= length and bag.knows(name):
            return _walk(bag.get(name), parts[length:])
    if parts == [""] or _is_group(bag, parts):
        raise NotALeaf(path)
    return None


def _is_group(bag: AttributeBag, parts: list[str]) -> bool:
    return len(parts) == 1 and (
        parts[0] in _MAPS_OF_OBJECTS or any(n.startswith(f"{parts[0]}.") for n in bag.names())
    )


def _walk(value: Any, keys: Sequence[str]) -> Value | None:
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value  # type: ignore[no-any-return]
