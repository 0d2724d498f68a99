"""The standard functions, by name, form and number of arguments."""

import operator
from collections.abc import Callable
from typing import Any

import re2

from mixer.attributes import Duration, Timestamp
from mixer.cel.conversions import CONVERSIONS
from mixer.cel.errors import EvaluationError
from mixer.cel.operators import ARITHMETIC, compare, negate
from mixer.cel.times import local_time, milliseconds
from mixer.cel.values import can_be_key, equal, fields, is_list, is_map, type_of, weigh

Charge = Callable[[int], None]
"""Counts what a function does. Raises BudgetError."""

Function = Callable[..., Any]
"""Takes the `Charge` and the arguments. Raises EvaluationError."""

_REGEX = re2.Options()
_REGEX.log_errors = False
_REGEX.max_mem = 1 << 20


def _no_overload(name: str, *values: Any) -> EvaluationError:
    types = ", ".join(type_of(value).name for value in values)
    return EvaluationError(f"no such overload: {name}({types})")


def _arithmetic(name: str) -> Function:
    table = ARITHMETIC[name]

    def calculate(charge: Charge, left: Any, right: Any) -> Any:
        operation = table.get((_kind(left), _kind(right)))
        if operation is None:
            raise _no_overload(name, left, right)
        weigh(charge, left)
        weigh(charge, right)
        return operation(left, right)

    return calculate


def _kind(value: Any) -> type:
    return list if is_list(value) else type(value)


def _order(holds: Callable[[Any, Any], bool]) -> Function:
    def ordered(charge: Charge, left: Any, right: Any) -> bool:
        weigh(charge, left)
        return holds(*compare(left, right))

    return ordered


def _equal(charge: Charge, left: Any, right: Any) -> bool:
    weigh(charge, left)
    weigh(charge, right)
    return equal(left, right)


def _not(_charge: Charge, value: Any) -> bool:
    if value is True or value is False:
        return not value
    raise _no_overload("!_", value)


def _in(charge: Charge, value: Any, collection: Any) -> bool:
    if is_list(collection):
        weigh(charge, collection)
        return any(equal(value, item) for item in collection)
    if is_map(collection) and isinstance(value, bool | int | float | str):
        return can_be_key(collection, value) and value in collection
    raise _no_overload("@in", value, collection)


def _index(_charge: Charge, collection: Any, key: Any) -> Any:
    if is_list(collection):
        return collection[_position(key, len(collection))]
    entries = fields(collection)
    if entries is None:
        raise _no_overload("_[_]", collection, key)
    if not isinstance(key, bool | int | float | str):
        raise EvaluationError("a key of a map must be a bool, an int, a uint or a string")
    try:
        if can_be_key(entries, key):
            return entries[key]  # without `in` before, which asks more of who notes look-ups
    except KeyError:
        pass
    raise EvaluationError(f"no such key: {key}")


def _position(key: Any, length: int) -> int:
    if isinstance(key, float) and key.is_integer():
        key = int(key)
    if isinstance(key, bool) or not isinstance(key, int):
        raise EvaluationError("an index of a list must be a whole number")
    if not 0 <= key < length:
        raise EvaluationError(f"index out of bounds: {key}")
    return int(key)


def _size(_charge: Charge, value: Any) -> int:
    if isinstance(value, str | bytes) or is_list(value) or is_map(value):
        return len(value)
    raise _no_overload("size", value)


def _on_strings(name: str, holds: Callable[[str, str], bool]) -> Function:
    def call(charge: Charge, text: Any, part: Any) -> bool:
        if type(text) is not str or type(part) is not str:
            raise _no_overload(name, text, part)
        weigh(charge, text)
        return holds(text, part)

    return call


def _matches(charge: Charge, text: Any, pattern: Any) -> bool:
    if type(text) is not str or type(pattern) is not str:
        raise _no_overload("matches", text, pattern)
    charge(8 + (len(text) * len(pattern) >> 6))
    try:
        found = re2.search(
            pattern.encode(errors="surrogateescape"),
            text.encode(errors="surrogateescape"),
            options=_REGEX,
        )
    except re2.error as error:
        raise EvaluationError("not a regular expression") from error
    return found is not None


def _clock(part: Callable[[Any], int]) -> Function:
    """A part of the calendar or the clock of a timestamp, in a time zone or in UTC."""

    def read(_charge: Charge, value: Any, zone: Any = "UTC") -> int:
        if type(value) is not Timestamp or type(zone) is not str:
            raise _no_overload("time", value, zone)
        return part(local_time(value, zone))

    return read


def _clock_or_span(part: Callable[[Any], int], unit: int) -> Function:
    """The same, or the whole units of a duration."""
    read = _clock(part)

    def read_either(charge: Charge, value: Any, *zone: Any) -> int:
        if type(value) is Duration and not zone:
            return abs(value) // unit * (-1 if value < 0 else 1)
        return int(read(charge, value, *zone))

    return read_either


def _milliseconds(_charge: Charge, value: Any, *zone: Any) -> int:
    if type(value) is Duration and not zone:
        return milliseconds(value)
    if type(value) is not Timestamp:
        raise _no_overload("getMilliseconds", value)
    local_time(value, *zone or ("UTC",))
    return int(value) // 1_000_000 % 1000


_SECOND = 1_000_000_000
_TIMES: dict[str, Function] = {
    "getFullYear": _clock(lambda t: t.year),
    "getMonth": _clock(lambda t: t.month - 1),
    "getDate": _clock(lambda t: t.day),
    "getDayOfMonth": _clock(lambda t: t.day - 1),
    "getDayOfWeek": _clock(lambda t: t.isoweekday() % 7),
    "getDayOfYear": _clock(lambda t: t.timetuple().tm_yday - 1),
    "getHours": _clock_or_span(lambda t: t.hour, 3600 * _SECOND),
    "getMinutes": _clock_or_span(lambda t: t.minute, 60 * _SECOND),
    "getSeconds": _clock_or_span(lambda t: t.second, _SECOND),
    "getMilliseconds": _milliseconds,
}

_STRINGS = {
    "contains": _on_strings("contains", lambda text, part: part in text),
    "startsWith": _on_strings("startsWith", str.startswith),
    "endsWith": _on_strings("endsWith", str.endswith),
    "matches": _matches,
}


def _conversion(convert: Callable[[Any], Any]) -> Function:
    def call(charge: Charge, value: Any) -> Any:
        weigh(charge, value)
        return convert(value)

    return call


FUNCTIONS: dict[tuple[str, bool, int], Function] = {
    **{(name, False, 2): _arithmetic(name) for name in ARITHMETIC},
    ("_<_", False, 2): _order(operator.lt),
    ("_<=_", False, 2): _order(operator.le),
    ("_>_", False, 2): _order(operator.gt),
    ("_>=_", False, 2): _order(operator.ge),
    ("_==_", False, 2): _equal,
    ("_!=_", False, 2): lambda charge, a, b: not _equal(charge, a, b),
    ("!_", False, 1): _not,
    ("-_", False, 1): lambda _charge, value: negate(value),
    ("@in", False, 2): _in,
    ("_[_]", False, 2): _index,
    ("size", False, 1): _size,
    ("size", True, 1): _size,
    **{(name, True, 2): call for name, call in _STRINGS.items()},
    ("matches", False, 2): _matches,
    **{(name, True, 1): call for name, call in _TIMES.items()},
    **{(name, True, 2): call for name, call in _TIMES.items()},
    **{(name, False, 1): _conversion(convert) for name, convert in CONVERSIONS.items()},
}
"""By name, whether it is called on its first argument, and how many arguments there are."""
