"""The values that keys are made of: compared by type and content, and never large."""

import hashlib
import os
import struct
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

LARGEST = 128
"""Bytes of a value that is kept as it is; of a larger one its digest is."""

_SECRET = os.urandom(32)
_DIGEST_BYTES = 32
_DEEPEST = 16


class UnkeyableError(Exception):
    """A value is nested too deeply to be compared."""


def key_of_bytes(content: bytes) -> Hashable:
    """What stands for bytes."""
    return content if len(content) <= LARGEST else _digest(content)


def key_of_headers(values: tuple[bytes, ...]) -> Hashable:
    """What stands for the values of one header, in order."""
    if len(values) == 1:
        return key_of_bytes(values[0])
    return values if sum(map(len, values)) <= LARGEST else _digest(repr(values).encode())


def key_of_value(value: Any) -> Hashable:
    """What stands for an attribute's value; null is one.

    Raises:
        UnkeyableError: It is nested too deeply.
    """
    frozen = _frozen(value, _DEEPEST)
    size = len(value) if isinstance(value, str | bytes) else 0
    if size <= LARGEST and not isinstance(frozen[1], tuple):
        return frozen
    text = repr(frozen)
    return frozen if len(text) <= LARGEST else _digest(text.encode(errors="surrogatepass"))


def _frozen(value: Any, depth: int) -> tuple[str, Any]:
    """The value with its type: Python takes 1, 1.0 and True for the same, and 0.0 and -0.0."""
    if depth == 0:
        raise UnkeyableError
    kind = type(value).__name__
    if isinstance(value, Mapping):
        return kind, tuple((k, _frozen(v, depth - 1)) for k, v in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return kind, tuple(_frozen(item, depth - 1) for item in value)
    return kind, struct.pack("<d", value) if isinstance(value, float) else value


class _Digest(bytes):
    """Equal to no value that is kept as it is."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is _Digest and bytes.__eq__(self, other)

    __hash__ = bytes.__hash__


def _digest(content: bytes) -> _Digest:
    """A keyed digest: nobody outside can make two contents that have the same one."""
    hashed = hashlib.blake2b(content, digest_size=_DIGEST_BYTES, key=_SECRET)
    return _Digest(hashed.digest())
