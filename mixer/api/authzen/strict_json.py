"""JSON as I-JSON has it (RFC 7493), and no more of it than an attribute can hold.

Whatever two readers could understand differently is refused: what one of them allows, another one
might not have.
"""

import json
from typing import Any

from mixer.api.authzen.errors import MalformedError

MOST_DEPTH = 32
MOST_PARTS = 16_384
"""Commas and opening brackets, also those in texts: there is no value but after one of them.

Millions of values, though they are few bytes, would hold up the process for seconds.
"""

_LARGEST = (1 << 63) - 1
_MOST_DIGITS = 20


def read_object(data: bytes) -> dict[str, Any]:
    """Read a JSON object; members that are null are left out, as if they were not there.

    Raises:
        MalformedError: It is none, not UTF-8, has a name twice in one object, a number beyond 64
            bits or a double, is more than `MOST_DEPTH` deep, or has more than `MOST_PARTS` parts.
    """
    if sum(map(data.count, (b",", b"[", b"{"))) > MOST_PARTS:
        raise MalformedError(f"the body has more than {MOST_PARTS} commas and brackets")
    try:
        found = json.loads(
            data.decode(),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_double,
            parse_constant=_constant,
        )
    except UnicodeDecodeError:
        raise MalformedError("the body is not UTF-8") from None
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        raise MalformedError(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise MalformedError("the body must be a JSON object")
    _check(found, 1)
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise MalformedError("the body has an object with a name twice")
    return {name: value for name, value in pairs if value is not None}


def _integer(text: str) -> int:
    number = int(text) if len(text) <= _MOST_DIGITS else _LARGEST + 1
    if not -_LARGEST <= number <= _LARGEST:
        raise MalformedError("the body has a number of more than 64 bits")
    return number


def _double(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise MalformedError("the body has a number that no double holds")
    return number


def _constant(text: str) -> float:
    raise MalformedError(f"the body is not JSON: {text}")


def _check(value: Any, depth: int) -> None:
    if depth > MOST_DEPTH:
        raise _too_deep()
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for name, one in value.items():
            _check_text(name)
            _check(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            _check(one, depth + 1)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MalformedError("the body has a text that is not Unicode") from None


def _too_deep() -> MalformedError:
    return MalformedError(f"the body is more than {MOST_DEPTH} deep")
