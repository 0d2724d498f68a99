"""Attributes as Envoy writes them into a ``google.protobuf.Struct``.

Numbers are doubles, times and durations text, messages protobuf's text format; what it cannot write
it replaces by a word, so that a map is told to be a map and no more.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from envoy.config.core.v3 import base_pb2
from google.protobuf import text_format

from mixer.attributes import (
    VOCABULARY,
    Duration,
    Kind,
    Timestamp,
    Uint,
    Value,
    message_value,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_SPAN = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(h|ms|us|ns|m|s)")
_LONGEST_TEXT = 64 * 1024
_LARGEST = 1 << 63

_MESSAGES = MappingProxyType(
    {
        name: base_pb2.Node if name == "xds.node" else base_pb2.Metadata
        for name, kind in VOCABULARY.items()
        if kind is Kind.MESSAGE and (name.endswith("metadata") or name == "xds.node")
    }
)


def typed_value(name: str, sent: Any) -> Value | None:
    """An attribute in its declared type; None where it is absent, or written as something else.

    Args:
        name: Of the attribute.
        sent: ``google.protobuf.Value``.
    """
    read = _READERS.get(VOCABULARY[name])
    kind = sent.WhichOneof("kind")
    if read is None or kind not in ("string_value", "number_value", "bool_value"):
        return None
    return read(name, getattr(sent, kind))


def _text(_name: str, sent: Any) -> Value | None:
    return sent if isinstance(sent, str) else None


def _bool(_name: str, sent: Any) -> Value | None:
    return sent if isinstance(sent, bool) else None


def _int(_name: str, sent: Any) -> Value | None:
    if isinstance(sent, bool) or not isinstance(sent, float) or not math.isfinite(sent):
        return None
    return int(sent) if abs(sent) < _LARGEST else None


def _uint(name: str, sent: Any) -> Value | None:
    number = _int(name, sent)
    return Uint(number) if isinstance(number, int) and number >= 0 else None


def _timestamp(_name: str, sent: Any) -> Value | None:
    """Nanoseconds of a time such as ``2026-11-22T11:41:27.322541+00:00``."""
    try:
        since = datetime.fromisoformat(sent) - _EPOCH
    except (TypeError, ValueError):
        return None
    return Timestamp(since // _MICROSECOND * 1000)


def _duration(_name: str, sent: Any) -> Value | None:
    """Nanoseconds of a duration such as ``773.997us`` or ``1m2.5s``."""
    if not isinstance(sent, str) or len(sent) > _LONGEST_TEXT:
        return None
    spans = _SPAN.findall(sent)
    if not spans or "".join(number + unit for number, unit in spans) != sent:
        return None
    return Duration(sum(round(float(number) * _UNITS[unit]) for number, unit in spans))


def _message(name: str, sent: Any) -> Value | None:
    kind = _MESSAGES.get(name)
    if kind is None or not isinstance(sent, str) or not 0 < len(sent) <= _LONGEST_TEXT:
        return None
    try:
        return message_value(text_format.Parse(sent, kind(), allow_unknown_field=True))
    except (text_format.ParseError, RecursionError):
        return None  # the word for no message, or one that this side cannot read


_READERS: dict[Kind, Callable[[str, Any], Value | None]] = {
    Kind.STRING: _text,
    Kind.BOOL: _bool,
    Kind.INT: _int,
    Kind.UINT: _uint,
    Kind.TIMESTAMP: _timestamp,
    Kind.DURATION: _duration,
    Kind.MESSAGE: _message,
}
