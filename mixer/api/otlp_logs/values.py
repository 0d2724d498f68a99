"""Values of OTLP as those of attributes."""

from collections.abc import Iterable
from typing import Any

from mixer.api.texts import READABLE, from_text
from mixer.attributes import Duration, Kind, Timestamp, Uint, Value
from mixer.wire.twins import text_of

_ABSENT = "-"
"""What Envoy's format strings write for what there is not."""

_NS_IN_MS = 1_000_000
_I64 = 1 << 63


def plain(value: Any) -> Any:
    """An ``AnyValue`` as a value of CEL; None where it is empty."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return text_of(value.string_value)
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return plain_map(value.kvlist_value.values)
    return None if kind is None else getattr(value, kind)


def plain_map(pairs: Iterable[Any]) -> dict[str, Any]:
    """Pairs of ``KeyValue`` as a map; of a key that comes twice the last value counts."""
    return {text_of(pair.key): plain(pair.value) for pair in pairs}


def of_kind(kind: Kind, value: Any) -> Value | None:
    """A value as one of an attribute; None for what is of another type.

    Text is read, since proxies format everything as text. A duration is in milliseconds unless it
    has a unit, as Envoy's ``%DURATION%``; a time in nanoseconds since the Unix epoch.
    """
    if isinstance(value, str):
        return None if value == _ABSENT or kind not in READABLE else from_text(kind, value)
    if isinstance(value, bool):
        return value if kind is Kind.BOOL else None
    if isinstance(value, int | float):
        return _number(kind, value)
    is_map = isinstance(value, dict) and kind in (Kind.MAP, Kind.MESSAGE)
    return value if is_map else None


def _number(kind: Kind, value: float) -> Value | None:
    if not -_I64 < value < _I64:  # nor NaN
        return None
    if kind is Kind.DURATION:
        return Duration(round(value * _NS_IN_MS))
    whole = int(value)
    if whole != value:
        return None
    if kind is Kind.UINT:
        return Uint(whole) if whole >= 0 else None
    if kind is Kind.TIMESTAMP:
        return Timestamp(whole)
    return whole if kind is Kind.INT else None
