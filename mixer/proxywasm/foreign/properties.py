"""``mixer_get_properties``: many properties by one call, which costs what one of them does."""

from functools import lru_cache
from itertools import islice

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.foreign.function import ForeignFunction
from mixer.proxywasm.property_codec import MAX_PATH_BYTES, NotALeaf

MAX_PROPERTIES = 256
"""That one call asks for."""

_SHORT = 8192
_SIZE_BYTES = 4
_ABSENT = b"\xff\xff\xff\xff"
_Asked = tuple[int, tuple[bytes, ...]]


def get_properties(context: Context, arguments: bytes) -> bytes | Status:
    """Read properties as ``proxy_get_property`` does; those that it would not give are absent.

    The arguments are numbers of 32 bits, little-endian, and paths: how long a value may be before
    it is cut, then the size of each path and the path. The result is the size of each value, or
    2**32 - 1 where there is none, then all values.
    """
    known = len(arguments) <= _SHORT
    asked = _asked_often(arguments) if known else _asked(arguments)
    if asked is None:
        return Status.BAD_ARGUMENT
    most, paths = asked
    get, reads = context.get_property, context.reads
    sizes, values = [], []
    for path in paths:
        try:
            value = get(path)
        except NotALeaf:
            sizes.append(_ABSENT)
            continue
        if reads is not None:
            reads.saw_property(path, value)
        if value is None:
            sizes.append(_ABSENT)
            continue
        if len(value) > most:
            value = value[:most]
        sizes.append(len(value).to_bytes(_SIZE_BYTES, "little"))
        values.append(value)
    return b"".join(sizes + values)


def _asked(arguments: bytes) -> _Asked | None:
    """What is asked for; None for what is malformed, or beyond a bound."""
    most = int.from_bytes(arguments[:_SIZE_BYTES], "little")
    paths = []
    at = _SIZE_BYTES
    while at < len(arguments):
        start = at + _SIZE_BYTES
        at = start + int.from_bytes(arguments[at:start], "little")
        paths.append(arguments[start:at])
    sound = at == len(arguments) and 0 < len(paths) <= MAX_PROPERTIES
    too_long = any(len(path) > MAX_PATH_BYTES for path in islice(paths, MAX_PROPERTIES))
    return None if too_long or not sound else (most, tuple(paths))


_asked_often = lru_cache(256)(_asked)
"""A plugin asks for the same ones at each request."""

FUNCTIONS: dict[str, ForeignFunction] = {"mixer_get_properties": get_properties}
