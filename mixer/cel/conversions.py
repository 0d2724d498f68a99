"""``int(x)``, ``string(x)`` and the like."""

import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from mixer.attributes import Duration, Timestamp, Uint
from mixer.cel.errors import EvaluationError
from mixer.cel.times import (
    format_duration,
    format_timestamp,
    parse_duration,
    parse_timestamp,
)
from mixer.cel.values import INT_RANGE, UINT_RANGE, type_of

_DIGITS = re.compile(r"\s*[+-]?\d{1,30}\s*", re.ASCII)
_DOUBLE = re.compile(r"\s*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf|infinity)\s*", re.ASCII)
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "false", "FALSE", "False"), False),
}
_NS = 1_000_000_000
_BELOW_ZERO = -math.ulp(0.0)
_SMALLEST_FIXED, _LARGEST_FIXED = -4, 6


def _ranged(number: int, allowed: range) -> int:
    if number not in allowed:
        raise EvaluationError("range error")
    return number


def _whole(number: float, lowest: float) -> int:
    if not (math.isfinite(number) and number > lowest):
        raise EvaluationError("range error")
    return math.trunc(number)


def _digits(text: str) -> int:
    if not _DIGITS.fullmatch(text):
        raise EvaluationError("not a number")
    return int(text)


def _double(text: str) -> float:
    if not _DOUBLE.fullmatch(text.lower()):
        raise EvaluationError("not a number")
    return float(text)


def _bool(text: str) -> bool:
    try:
        return _BOOLEANS[text]
    except KeyError as error:
        raise EvaluationError("not a bool") from error


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise EvaluationError("not UTF-8") from error


def _double_text(number: float) -> str:
    """The fewest digits that tell it, as ``%g`` writes them."""
    if not math.isfinite(number):
        return f"{number:g}"
    digits = Decimal(repr(number)).normalize().as_tuple().digits
    exponent = int(f"{number:e}".partition("e")[2])
    if _SMALLEST_FIXED <= exponent < _LARGEST_FIXED:
        return f"{number:.{len(digits)}g}" if len(digits) > exponent else f"{number:.0f}"
    return f"{number:.{len(digits) - 1}e}"


def _same(value: Any) -> Any:
    return value


_Conversion = dict[type, Callable[[Any], Any]]

_TO: dict[str, _Conversion] = {
    "int": {
        int: _same,
        Uint: lambda n: _ranged(int(n), INT_RANGE),
        float: lambda n: _ranged(_whole(n, INT_RANGE.start), INT_RANGE),
        bool: int,
        str: lambda s: _ranged(_digits(s), INT_RANGE),
        Timestamp: lambda t: t // _NS,
    },
    "uint": {
        Uint: _same,
        int: lambda n: Uint(_ranged(n, UINT_RANGE)),
        float: lambda n: Uint(_ranged(_whole(n, _BELOW_ZERO), UINT_RANGE)),
        str: lambda s: Uint(_ranged(_digits(s), UINT_RANGE)),
    },
    "double": {float: _same, int: float, Uint: float, str: _double},
    "bool": {bool: _same, str: _bool},
    "string": {
        str: _same,
        bytes: _text,
        int: str,
        Uint: lambda n: str(int(n)),
        float: _double_text,
        bool: lambda b: "true" if b else "false",
        Timestamp: format_timestamp,
        Duration: format_duration,
    },
    "bytes": {bytes: _same, str: lambda s: s.encode(errors="surrogateescape")},
    "timestamp": {
        Timestamp: _same,
        str: parse_timestamp,
        int: lambda seconds: Timestamp(seconds * _NS),
    },
    "duration": {Duration: _same, str: parse_duration},
}


def _convert(name: str, table: _Conversion) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        conversion = table.get(type(value))
        if conversion is None:
            raise EvaluationError(f"no such overload: {name}({type_of(value).name})")
        return conversion(value)

    return convert


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    **{name: _convert(name, table) for name, table in _TO.items()},
    "dyn": _same,
    "type": type_of,
}
"""By the name of the type."""
