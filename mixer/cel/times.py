"""Points and spans of time; nanoseconds."""

import calendar
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from mixer.attributes import Duration, Timestamp
from mixer.cel.errors import EvaluationError

_NS = 1_000_000_000
_FIRST = -62_135_596_800 * _NS
_LAST = 253_402_300_800 * _NS
_LONGEST = 315_576_000_000 * _NS

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))",
    re.ASCII | re.IGNORECASE,
)
_UNITS = {"ns": 1, "us": 1000, "ms": 1_000_000, "s": _NS, "m": 60 * _NS, "h": 3600 * _NS}
_SPAN = re.compile(r"(\d*)(?:\.(\d*))?(ns|us|ms|s|m|h)", re.ASCII)
_OFFSET = re.compile(r"([+-]?)(\d\d):(\d\d)", re.ASCII)
_MAX_DIGITS = 20
_LEAP_SECOND = "60"
_EPOCH = datetime(1970, 1, 1)


def timestamp(nanoseconds: int) -> Timestamp:
    """A point in time between the years 1 and 9999. Raises EvaluationError."""
    if not _FIRST <= nanoseconds < _LAST:
        raise EvaluationError("timestamp overflow")
    return Timestamp(nanoseconds)


def duration(nanoseconds: int) -> Duration:
    """A span of at most 10000 years. Raises EvaluationError."""
    if abs(nanoseconds) > _LONGEST:
        raise EvaluationError("duration overflow")
    return Duration(nanoseconds)


def parse_timestamp(text: str) -> Timestamp:
    """Read ``2020-01-02T03:04:05.6Z``. Raises EvaluationError."""
    found = _RFC3339.fullmatch(text.strip())
    if found is None:
        raise EvaluationError("timestamp: not in the form of RFC 3339")
    *when, second, fraction, sign, hours, minutes = found.groups()
    leap = second == _LEAP_SECOND
    try:
        year, month, day, hour, minute = map(int, when)
        moment = datetime(year, month, day, hour, minute, 59 if leap else int(second))
    except ValueError as error:
        raise EvaluationError(f"timestamp: {error}") from error
    seconds = calendar.timegm(moment.timetuple()) + leap
    if sign:
        seconds -= int(f"{sign}1") * (int(hours) * 3600 + int(minutes) * 60)
    return timestamp(seconds * _NS + int((fraction or "").ljust(9, "0")[:9]))


def parse_duration(text: str) -> Duration:
    """Read ``1h2m3.5s``. Raises EvaluationError."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return Duration(0)
    total, at = 0, 0
    while at < len(rest):
        found = _SPAN.match(rest, at)
        if found is None or not (found[1] or found[2]) or len(found[1]) > _MAX_DIGITS:
            raise EvaluationError("duration: write 1h2m3.5s")
        unit, fraction = _UNITS[found[3]], (found[2] or "")[:_MAX_DIGITS]
        total += int(found[1] or 0) * unit + int(fraction or 0) * unit // 10 ** len(fraction)
        at = found.end()
    if not rest:
        raise EvaluationError("duration: empty")
    return duration(sign * total)


def format_timestamp(value: Timestamp) -> str:
    """Write a timestamp as in RFC 3339."""
    seconds, nanoseconds = divmod(timestamp(value), _NS)
    moment = _EPOCH + timedelta(seconds=seconds)
    return f"{moment.isoformat()}{_fraction(nanoseconds)}Z"


def format_duration(value: Duration) -> str:
    """Write a duration in seconds."""
    seconds, nanoseconds = divmod(abs(value), _NS)
    return f"{'-' if value < 0 else ''}{seconds}{_fraction(nanoseconds)}s"


def _fraction(nanoseconds: int) -> str:
    digits = f"{nanoseconds:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f".{digits}" if digits else ""


def local_time(value: Timestamp, zone: str) -> datetime:
    """The calendar and the clock of a time zone, without fractions of a second.

    Raises:
        EvaluationError: No such zone.
    """
    try:
        moment = (_EPOCH + timedelta(seconds=value // _NS)).replace(tzinfo=UTC)
        return moment.astimezone(_zone(zone))
    except (ValueError, OverflowError, OSError, KeyError) as error:
        raise EvaluationError(f"no such time zone: {error}") from error


def _zone(name: str) -> tzinfo:
    if name in ("", "UTC"):
        return UTC
    offset = _OFFSET.fullmatch(name)
    if offset is None:
        return ZoneInfo(name)
    span = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
    return timezone(-span if offset[1] == "-" else span)


def milliseconds(value: int) -> int:
    """Those of the last second that has begun."""
    return abs(value) // 1_000_000 % 1000 * (-1 if value < 0 else 1)
