"""Numbers as Go writes and reads them.

Source: Go's ``strconv.ParseInt`` and ``strconv.ParseFloat``.
"""

import math
import re

_INT64 = re.compile(r"[+-]?0*[0-9]{1,19}", re.ASCII)
_DIGITS, _HEX = r"[0-9](?:_?[0-9])*", r"[0-9a-fA-F](?:_?[0-9a-fA-F])*"
_DECIMAL = re.compile(
    rf"[+-]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?"
)
_HEXADECIMAL = re.compile(rf"[+-]?0[xX](?:_?{_HEX}(?:\.(?:{_HEX})?)?|\.{_HEX})[pP][+-]?{_DIGITS}")
_SPECIAL = re.compile(r"nan|[+-]?inf(?:inity)?", re.IGNORECASE | re.ASCII)


def parse_int64(text: str) -> int:
    """Read a decimal number of 64 bits with a sign. Raises ValueError."""
    if not _INT64.fullmatch(text):
        raise ValueError(text)
    number = int(text)
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(text)
    return number


def parse_double(text: str) -> float:
    """Read a decimal or hexadecimal number, or NaN, or an infinity.

    Raises:
        ValueError: It is none of these, or too large.
    """
    if _SPECIAL.fullmatch(text):
        return float(text)
    number = _finite(text)
    if math.isinf(number):
        raise ValueError(text)
    return number


def _finite(text: str) -> float:
    if _DECIMAL.fullmatch(text):
        return float(text.replace("_", ""))
    if not _HEXADECIMAL.fullmatch(text):
        raise ValueError(text)
    try:
        return float.fromhex(text.replace("_", ""))
    except OverflowError:
        return math.inf


def format_double(value: float) -> str:
    """Write a number, exactly."""
    return repr(float(value))
