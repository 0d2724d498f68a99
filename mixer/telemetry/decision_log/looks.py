"""What adapters looked at, as expressions name it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mixer.cel import TYPES
from mixer.engine import Request
from mixer.engine.cache.reads import (
    ABSENT,
    AttributeRead,
    BodyRead,
    HeaderRead,
    HeadersRead,
    PresenceRead,
    Read,
    find,
)
from mixer.engine.story import Seen
from mixer.telemetry.decision_log.masking import MASKED, Masking
from mixer.telemetry.decision_log.subject import one_line

_LONGEST_NAME = 256


class Look(NamedTuple):
    """One look.

    Attributes:
        value: What was seen, as it may be told; empty where no values are told.
        changed_by: The adapter that had changed it, empty where that is not known; None where it
            was as it came in.
    """

    value: str
    changed_by: str | None


def looks(
    request: Request, reads: Mapping[Read, Seen | None], masking: Masking | None
) -> dict[str, Look]:
    """What was looked at, in order, with the values that were seen first.

    Args:
        request: That it was looked at in.
        reads: Of one adapter, with what it saw where that is not what came in.
        masking: Of the values; None tells none.
    """
    found: dict[str, Look] = {}
    changed = request.headers.save()
    request.headers.reset()
    try:
        for read in _without_stops([one for one in reads if not _is_type(one, request)]):
            seen = reads[read]
            value = "" if masking is None else _value(request, read, seen, masking)
            found.setdefault(_name(read), Look(value, None if seen is None else seen.by))
    finally:
        request.headers.restore(changed)
    return found


def _is_type(read: Read, request: Request) -> bool:
    """Whether an expression only looked if an attribute hides a type of its language."""
    if not isinstance(read, AttributeRead | PresenceRead):
        return False
    return read.name in TYPES and find(request, read.name, ()) is ABSENT


def _without_stops(reads: list[Read]) -> Iterator[Read]:
    """Without the attributes that were only passed through on the way to a key in them."""
    passed = set()
    for read in reads:
        if isinstance(read, AttributeRead | PresenceRead):
            passed |= {(read.name, read.keys[:end]) for end in range(len(read.keys))}
    for read in reads:
        if not (isinstance(read, PresenceRead) and (read.name, read.keys) in passed):
            yield read


def _name(read: Read) -> str:
    if isinstance(read, HeaderRead):
        return f"request.headers[{_quoted(read.name)}]"
    if isinstance(read, HeadersRead):
        return "request.headers"
    if isinstance(read, BodyRead):
        return "request.body"
    if isinstance(read, AttributeRead | PresenceRead):
        keys = "".join(f"[{_quoted(key)}]" for key in read.keys)
        return one_line(read.name, _LONGEST_NAME) + keys
    return type(read).__name__


def _quoted(key: Any) -> str:
    text = key.decode(errors="backslashreplace") if isinstance(key, bytes) else str(key)
    return json.dumps(text[:_LONGEST_NAME])


def _value(request: Request, read: Read, seen: Seen | None, masking: Masking) -> str:
    if isinstance(read, HeaderRead):
        name = read.name.decode(errors="backslashreplace")
        values = request.headers.original(read.name)
        came = b",".join(values) if values else None
        return masking.value((name,), came if seen is None else seen.value)
    if isinstance(read, AttributeRead | PresenceRead):
        found = find(request, read.name, read.keys) if seen is None else seen.value
        keys = tuple(key if isinstance(key, str) else str(key) for key in read.keys)
        return masking.value((read.name, *keys), None if found is ABSENT else found)
    return MASKED
