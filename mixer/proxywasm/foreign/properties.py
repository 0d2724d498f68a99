"""``mixer_get_properties``: many properties by one call, which costs what a few of them do."""

from functools import lru_cache
from struct import pack

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.foreign.function import ForeignFunction
from mixer.proxywasm.property_codec import MAX_PATH_BYTES
from mixer.proxywasm.property_plan import UNREADABLE, PropertyPlan

MAX_PROPERTIES = 256
"""That one call asks for."""

_SHORT = 8192
_SIZE_BYTES = 4
_ABSENT = 0xFFFF_FFFF
_Asked = tuple[int, PropertyPlan]


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
    most, plan = asked
    sizes, values = [], []
    found = context.get_properties(plan)
    reads = context.reads
    if reads is not None:
        for path, value in zip(plan.paths, found, strict=True):
            if value is not UNREADABLE:
                reads.saw_property(path, value)
    for value in found:
        if value is None or value is UNREADABLE:
            sizes.append(_ABSENT)
            continue
        kept = value if len(value) <= most else value[:most]
        sizes.append(len(kept))
        values.append(kept)
    return pack(f"<{len(sizes)}I", *sizes) + b"".join(values)


def _asked(arguments: bytes) -> _Asked | None:
    """What is asked for; None for what is malformed, or beyond a bound."""
    most = int.from_bytes(arguments[:_SIZE_BYTES], "little")
    paths: list[bytes] = []
    at = _SIZE_BYTES
    while at < len(arguments) and len(paths) <= MAX_PROPERTIES:
        start = at + _SIZE_BYTES
        at = start + int.from_bytes(arguments[at:start], "little")
        paths.append(arguments[start:at])
    sound = at == len(arguments) and 0 < len(paths) <= MAX_PROPERTIES
    if not sound or any(len(path) > MAX_PATH_BYTES for path in paths):
        return None
    return most, PropertyPlan.of(paths)


_asked_often = lru_cache(256)(_asked)
"""A plugin asks for the same ones at each request."""

FUNCTIONS: dict[str, ForeignFunction] = {"mixer_get_properties": get_properties}
