"""How values of attributes are written on a command line; the syntax is ``mixc``'s.

Source: the client ``mixc`` of Istio 1.3, which reads values as Go's ``strconv`` and ``time`` do.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from mixer.attributes import Duration, Timestamp, Value
from mixer.cli.mixer_v1.numbers import format_double, parse_double, parse_int64
from mixer.cli.mixer_v1.times import (
    format_duration,
    format_timestamp,
    parse_duration,
    parse_timestamp,
)

_BOOLS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_LONGEST_SHOWN = 80
_HEX = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True)
class Syntax:
    """How values of one type are written.

    Attributes:
        kind: The type, as Mixer calls it.
        expected: What to write, for messages.
        parse: Reads a value; raises ValueError where it is none.
    """

    kind: str
    expected: str
    parse: Callable[[str], Value]

    def read(self, text: str) -> Value:
        """Read a value.

        Raises:
            ValueError: It is none; the message says what to write.
        """
        try:
            text.encode()
            return self.parse(text)
        except UnicodeEncodeError:
            raise ValueError(f"{shown(text)} is not UTF-8 text") from None
        except ValueError:
            raise ValueError(
                f"{shown(text)} is not of type {self.kind}: write {self.expected}"
            ) from None


def shown(text: str) -> str:
    """A text in a message, not too long."""
    return repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "...")


def printable(text: str) -> str:
    """A text of a server: nothing in it moves the cursor."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def parse_bool(text: str) -> bool:
    """Read a truth value. Raises ValueError."""
    try:
        return _BOOLS[text]
    except KeyError:
        raise ValueError(text) from None


def parse_bytes(text: str) -> bytes:
    """Read ``c0:0:0:2``: each byte in hexadecimal. Raises ValueError."""
    return bytes(map(_byte, text.split(":")))


def _byte(text: str) -> int:
    if not text or not _HEX.issuperset(text):
        raise ValueError(text)
    return int(text, 16)


def parse_string_map(text: str) -> dict[str, str]:
    """Read ``key:value;key:value``; the last one of a key counts. Raises ValueError."""
    entries = {}
    for pair in text.split(";"):
        key, colon, value = pair.partition(":")
        if not colon:
            raise ValueError(text)
        entries[key] = value
    return entries


def sense(text: str) -> Value:
    """The value of the first type that the text can be read as, or else the text."""
    for syntax in _SENSED:
        with suppress(ValueError):
            return syntax.parse(text)
    return text


STRING = Syntax("string", "any text without a comma", str)
INT64 = Syntax("int64", "a decimal number from -2^63 to 2^63-1, such as 200", parse_int64)
DOUBLE = Syntax("double", "a number such as 1.5, 1e9 or NaN", parse_double)
BOOL = Syntax("bool", "true or false", parse_bool)
TIMESTAMP = Syntax(
    "timestamp", "a time of RFC 3339, such as 2019-10-02T15:04:05.25Z", parse_timestamp
)
DURATION = Syntax("duration", "a duration with units, such as 250ms or 1m30s", parse_duration)
BYTES = Syntax("bytes", "each byte in hexadecimal, such as c0:00:00:02", parse_bytes)
STRING_MAP = Syntax("string map", "KEY:VALUE;KEY:VALUE", parse_string_map)
AUTO = Syntax("string", "any text without a comma", sense)

# The order decides: `1` is no bool, `t` no string, and `abc.example:80` no bytes but a map.
_SENSED = (INT64, DOUBLE, BOOL, TIMESTAMP, DURATION, BYTES, STRING_MAP)


def kind_of(value: Value) -> str:
    """The type of a value, as Mixer calls it."""
    return "string map" if isinstance(value, Mapping) else _FORMS[type(value)][0]


def format_value(value: Value) -> str:
    """Write a value as the flag of its type reads it.

    Bytes without content, empty maps, and maps whose texts have ``;`` (or keys ``:``) cannot be
    read back.
    """
    if isinstance(value, Mapping):
        return ";".join(f"{key}:{text}" for key, text in value.items())
    return _FORMS[type(value)][1](value)


def _format_bool(value: bool) -> str:
    return "true" if value else "false"


def _format_bytes(value: bytes) -> str:
    return value.hex(":")


_FORMS: Mapping[type, tuple[str, Callable[..., str]]] = {
    str: ("string", str),
    int: ("int64", str),
    float: ("double", format_double),
    bool: ("bool", _format_bool),
    bytes: ("bytes", _format_bytes),
    Timestamp: ("timestamp", format_timestamp),
    Duration: ("duration", format_duration),
}
