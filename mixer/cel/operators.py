"""Arithmetic and order."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from mixer.attributes import Duration, Timestamp, Uint
from mixer.cel.errors import EvaluationError
from mixer.cel.times import duration
from mixer.cel.values import INT_RANGE, NUMBERS, UINT_RANGE

_Operation = Callable[[Any, Any], Any]


def _int(number: int) -> int:
    if number not in INT_RANGE:
        raise EvaluationError("integer overflow")
    return int(number)


def _uint(number: int) -> Uint:
    if number not in UINT_RANGE:
        raise EvaluationError("unsigned integer overflow")
    return Uint(number)


def _quotient(left: int, right: int) -> int:
    """As the machine divides: towards zero."""
    if right == 0:
        raise EvaluationError("divide by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) is (right < 0) else -quotient


def _remainder(left: int, right: int) -> int:
    if right == 0:
        raise EvaluationError("modulus by zero")
    _int(_quotient(left, right))
    return left - right * _quotient(left, right)


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    if math.isnan(left) or not left:
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _on_numbers(
    integers: Callable[[int, int], int], doubles: Callable[[float, float], float] | None
) -> dict[tuple[type, type], _Operation]:
    table: dict[tuple[type, type], _Operation] = {
        (int, int): lambda a, b: _int(integers(a, b)),
        (Uint, Uint): lambda a, b: _uint(integers(int(a), int(b))),
    }
    if doubles is not None:
        table[float, float] = doubles
    return table


def _plus(left: Any, right: Any) -> Any:
    return left + right


def _list_plus(left: Any, right: Any) -> Any:
    return [*left, *right]


ARITHMETIC: Mapping[str, Mapping[tuple[type, type], _Operation]] = {
    "_+_": _on_numbers(int.__add__, float.__add__)
    | {
        (str, str): _plus,
        (bytes, bytes): _plus,
        (list, list): _list_plus,
        (Timestamp, Duration): lambda a, b: Timestamp(int(a) + int(b)),
        (Duration, Timestamp): lambda a, b: Timestamp(int(a) + int(b)),
        (Duration, Duration): lambda a, b: duration(int(a) + int(b)),
    },
    "_-_": _on_numbers(int.__sub__, float.__sub__)
    | {
        (Timestamp, Duration): lambda a, b: Timestamp(int(a) - int(b)),
        (Timestamp, Timestamp): lambda a, b: duration(int(a) - int(b)),
        (Duration, Duration): lambda a, b: duration(int(a) - int(b)),
    },
    "_*_": _on_numbers(int.__mul__, float.__mul__),
    "_/_": _on_numbers(_quotient, _divide),
    "_%_": _on_numbers(_remainder, None),
}
"""What an operator does with two values, by their types."""

_ORDERED = frozenset({bool, str, bytes, Timestamp, Duration})


def compare(left: Any, right: Any) -> tuple[Any, Any]:
    """Two values that Python orders as the language does.

    Raises:
        EvaluationError: They have no order.
    """
    one, other = type(left), type(right)
    if one in NUMBERS and other in NUMBERS:
        return (float(left), float(right)) if float in (one, other) else (left, right)
    if one is other and one in _ORDERED:
        return left, right
    raise EvaluationError("no such overload: these values have no order")


def negate(value: Any) -> Any:
    """``-x``. Raises EvaluationError."""
    if type(value) is int:
        return _int(-value)
    if type(value) is float:
        return -value
    raise EvaluationError("no such overload: only an int or a double can be negated")
