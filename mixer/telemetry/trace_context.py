"""Where a caller says to which trace its request belongs: W3C Trace Context, and B3.

Source: W3C "Trace Context", 3.2 and 3.3; github.com/openzipkin/b3-propagation.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

HEADERS = frozenset(
    {
        "traceparent", "tracestate", "b3",
        "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags",
    }
)  # fmt: skip
"""All that is looked for."""

MAX_STATE_BYTES = 512
"""Of ``tracestate``: the length up to which everybody has to pass it on."""

_W3C = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_B3 = re.compile(r"([0-9a-f]{16}|[0-9a-f]{32})-([0-9a-f]{16})(?:-([01d]))?(?:-[0-9a-f]{16})?")
_ID = re.compile(r"[0-9a-f]{16}(?:[0-9a-f]{16})?")
_SAMPLED = 1
_YES, _NO = frozenset({"1", "d", "true"}), frozenset({"0", "false"})


@dataclass(frozen=True, slots=True)
class Parent:
    """The span of a caller.

    Attributes:
        trace_id: 128 bits, not 0.
        span_id: 64 bits, not 0.
        sampled: Whether it is kept; None where that is left to us.
        state: ``tracestate`` as it came; empty where there was none, or it is too long.
    """

    trace_id: int
    span_id: int
    sampled: bool | None
    state: str = ""


Find = Callable[[str], str | None]
"""The value of a header by its lower-case name, all of them joined by commas where it came several
times; None where there is none."""


def finder(headers: Iterable[tuple[str, str]]) -> Find:
    """Look among headers, whose names are in lower case.

    A header that came several times is one list, as in HTTP: several ``tracestate`` belong
    together, and of several ``traceparent`` none counts.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        if name in HEADERS:
            found[name] = f"{found[name]},{value}" if name in found else value
    return found.get


def parent_of(find: Find) -> Parent | None:
    """Who asks; None where nobody says so that it can be read.

    Args:
        find: Headers of the call. ``traceparent`` goes before ``b3``, and that before
            ``x-b3-traceid``.
    """
    return _w3c(find) or _b3(find) or _b3_multiple(find)


def decided_alone(find: Find) -> bool | None:
    """Whether a caller that names no span says that the request is sampled, as B3 allows it to.

    Returns:
        None where nobody says so, and where a trace is named that cannot be read.
    """
    single = find("b3")
    if single is not None:
        return _decided(single)
    if find("x-b3-traceid") is not None or find("x-b3-spanid") is not None:
        return None
    return _multiple_decided(find)


def _w3c(find: Find) -> Parent | None:
    text = find("traceparent")
    found = None if text is None else _W3C.fullmatch(text.strip())
    if found is None or (found[1] == "00" and found[5]):
        return None
    sampled = bool(int(found[4], 16) & _SAMPLED)
    state = find("tracestate") or ""
    kept = state if len(state) <= MAX_STATE_BYTES else ""
    return _parent(found[2], found[3], sampled=sampled, state=kept)


def _b3(find: Find) -> Parent | None:
    text = (find("b3") or "").strip().lower()
    found = _B3.fullmatch(text)
    return None if found is None else _parent(found[1], found[2], sampled=_decided(found[3]))


def _b3_multiple(find: Find) -> Parent | None:
    trace_id, span_id = (
        (find(f"x-b3-{name}") or "").strip().lower() for name in ("traceid", "spanid")
    )
    if not _ID.fullmatch(trace_id) or not _ID.fullmatch(span_id) or len(span_id) > 16:
        return None
    return _parent(trace_id, span_id, sampled=_multiple_decided(find))


def _multiple_decided(find: Find) -> bool | None:
    return find("x-b3-flags") == "1" or _decided(find("x-b3-sampled"))


def _decided(text: str | None) -> bool | None:
    lower = (text or "").strip().lower()
    return True if lower in _YES else (False if lower in _NO else None)


def _parent(trace_id: str, span_id: str, *, sampled: bool | None, state: str = "") -> Parent | None:
    trace, span = int(trace_id, 16), int(span_id, 16)
    return Parent(trace, span, sampled, state) if trace and span else None
