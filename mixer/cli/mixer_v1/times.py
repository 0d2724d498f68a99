"""Times and durations as Go writes and reads them.

Source: Go's ``time.Parse`` with RFC 3339, ``time.ParseDuration`` and ``Duration.String``.
"""

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from mixer.attributes import Duration, Timestamp

_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d?):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
_UNITS = {
    "ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6, "s": _NS, "m": 60 * _NS,
    "h": 3600 * _NS,
}  # fmt: skip
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(rf"([+-]?)((?:{_PART.pattern})+|0)")
_LONGEST = 200


def parse_timestamp(text: str) -> Timestamp:
    """Read a time of RFC 3339; what is finer than a nanosecond is cut off.

    Raises:
        ValueError: It is none, or not of the years 1 to 9999.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    *fields, fraction, sign, hours, minutes = match.groups()
    nanoseconds = int((fraction or "")[:9].ljust(9, "0"))
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        there = datetime.strptime("-".join(fields), "%Y-%m-%d-%H-%M-%S").replace(tzinfo=UTC)
        time = there + offset if sign == "-" else there - offset
    except OverflowError:
        raise ValueError(text) from None
    return Timestamp((time - _EPOCH) // timedelta(seconds=1) * _NS + nanoseconds)


def format_timestamp(time: Timestamp) -> str:
    """Write a time in UTC."""
    seconds, nanoseconds = divmod(time, _NS)
    whole = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
    fraction = f".{nanoseconds:09}".rstrip("0") if nanoseconds else ""
    return f"{whole}{fraction}Z"


def parse_duration(text: str) -> Duration:
    """Read ``250ms``, ``1m30s``, ``-1.5h`` or ``0``; what is finer than a nanosecond is cut off.

    Raises:
        ValueError: It is none of these, or does not fit 64 bits of nanoseconds.
    """
    match = _DURATION.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise ValueError(text)
    parts = _PART.findall(match[2])
    length = sum(int(Fraction(number.rstrip(".")) * _UNITS[unit]) for number, unit in parts)
    nanoseconds = -length if match[1] == "-" else length
    if not -(1 << 63) <= nanoseconds < 1 << 63:
        raise ValueError(text)
    return Duration(nanoseconds)


def format_duration(duration: Duration) -> str:
    """Write a duration as Go does: ``1m0s``, ``1.5s``, ``250ms``."""
    sign, length = "-" if duration < 0 else "", abs(duration)
    if length == 0:
        return "0s"
    if length < _NS:
        unit = next(unit for unit in ("ms", "µs", "ns") if length >= _UNITS[unit])
        return f"{sign}{_decimal(length, _UNITS[unit])}{unit}"
    minutes, rest = divmod(length, _UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    larger = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{larger}{_decimal(rest, _NS)}s"


def _decimal(number: int, unit: int) -> str:
    whole, rest = divmod(number, unit)
    fraction = f".{rest:0{len(str(unit)) - 1}}".rstrip("0") if rest else ""
    return f"{whole}{fraction}"
