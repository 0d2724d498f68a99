"""Attributes that are told as text: formatted by a proxy, or written into its configuration."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from mixer.attributes import Duration, Kind, Uint, Value, whole_number
from mixer.cel.errors import EvaluationError
from mixer.cel.times import parse_duration, parse_timestamp

_NS_IN_MS = 1_000_000


def _number(text: str) -> int | None:
    number = whole_number(text.removeprefix("-"))
    return -number if number is not None and text.startswith("-") else number


def _uint(text: str) -> Uint | None:
    number = whole_number(text)
    return None if number is None else Uint(number)


def _duration(text: str) -> Duration | None:
    """Digits alone are milliseconds, as Envoy's ``%DURATION%`` has them."""
    number = whole_number(text)
    return parse_duration(text) if number is None else Duration(number * _NS_IN_MS)


_READS: Mapping[Kind, Callable[[str], Value | None]] = MappingProxyType(
    {
        Kind.STRING: str,
        Kind.INT: _number,
        Kind.UINT: _uint,
        Kind.BOOL: {"true": True, "false": False}.get,
        Kind.TIMESTAMP: parse_timestamp,
        Kind.DURATION: _duration,
    }
)

READABLE = frozenset(_READS)
"""The kinds of attributes that a text can tell."""


def from_text(kind: Kind, text: str) -> Value | None:
    """Read an attribute; None for what is no such value."""
    try:
        return _READS[kind](text)
    except EvaluationError:
        return None
