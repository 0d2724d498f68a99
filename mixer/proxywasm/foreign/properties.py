"""``mixer_get_properties``: many properties by one call, which costs what a few of them do."""

from functools import lru_cache
from struct import Struct

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
_Asked = tuple[int, PropertyPlan, Struct]


def get_properties(context: Context, arguments: bytes) -> bytes | Status:
    """Read properties as ``proxy_get_property`` does; those that it would not give are absent.

    The arguments are numbers of 32 bits, little-endian, and paths: how long a value may be before
    it is cut, then the size of each path and the path. The result is the size of each value, or
    2**32 - 1 where there is none, then all values.
    """
    asked = _asked_before(arguments)
    if asked is None:
        return Status.BAD_ARGUMENT
    most, plan, sizes = asked
    found = context.get_properties(plan)
    if context.reads is not None:
        for path, value in zip(plan.paths, found, strict=True):
            if value is not UNREADABLE:
                context.reads.saw_property(path, value)
    try:
        values = b"".join(filter(None, found))
    except TypeError:  # for one that is unreadable
        found = [None if value is UNREADABLE else value for value in found]
        values = b"".join(filter(None, found))
    if len(values) > most:
        found = [None if value is None else value[:most] for value in found]
        values = b"".join(filter(None, found))
    return sizes.pack(*[_ABSENT if v is None else len(v) for v in found]) + values


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
    return most, PropertyPlan(paths), Struct(f"<{len(paths)}I")


_asked_often = lru_cache(256)(_asked)
_last: list[tuple[bytes, _Asked | None]] = [(b"", None)] * 16


def _asked_before(arguments: bytes) -> _Asked | None:
    """The same: a plugin asks for the same ones at each request.

    Those of the last time are compared, which takes a tenth of the time that a hash of them does.
    """
    if len(arguments) > _SHORT:
        return _asked(arguments)
    slot = len(arguments) % len(_last)
    last, asked = _last[slot]
    if last != arguments:
        asked = _asked_often(arguments)
        _last[slot] = arguments, asked
    return asked


FUNCTIONS: dict[str, ForeignFunction] = {"mixer_get_properties": get_properties}
