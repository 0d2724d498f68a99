"""The serialization of header maps at the ABI.

A little-endian u32 count; for each pair the u32 lengths of name and value; then each name and
value, each followed by a NUL that its length does not count.
"""

import struct
from itertools import chain

from mixer.attributes import Pair

MAX_BYTES = 1 << 20
MAX_PAIRS = 1024
_U32 = 4


def serialize(pairs: list[Pair]) -> bytes:
    """Serialize pairs in order; the empty map is a count of zero."""
    sizes = [len(part) for pair in pairs for part in pair]
    head = struct.pack(f"<{len(sizes) + 1}I", len(pairs), *sizes)
    return b"".join((head, *(part + b"\0" for part in chain.from_iterable(pairs))))


def deserialize(data: bytes) -> list[Pair]:
    """Read what a guest serialized.

    Malformed bytes, and those over the bounds of 1 MiB and 1,024 pairs, are an empty map: so does
    Envoy, and there is no status for it in the ABI.
    """
    if not _U32 <= len(data) <= MAX_BYTES:
        return []
    (count,) = struct.unpack_from("<I", data)
    if count > MAX_PAIRS or len(data) < _U32 * (1 + 2 * count):
        return []
    sizes = struct.unpack_from(f"<{2 * count}I", data, _U32)
    if len(data) != _U32 * (1 + 2 * count) + sum(sizes) + len(sizes):
        return []
    return _split(data, sizes)


def _split(data: bytes, sizes: tuple[int, ...]) -> list[Pair]:
    position = _U32 * (1 + len(sizes))
    parts = []
    for size in sizes:
        end = position + size
        if data[end] != 0:
            return []
        parts.append(data[position:end])
        position = end + 1
    return list(zip(parts[::2], parts[1::2], strict=True))
