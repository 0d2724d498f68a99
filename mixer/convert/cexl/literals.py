"""The values of literals, as Go reads them.

Source: Go's ``strconv.Unquote`` and ``time.ParseDuration``.
"""

import math
import re

_ESCAPE = re.compile(
    r"""\\(?:([abfnrtv\\'"])|([0-7]{3})|x([0-9a-fA-F]{2})
    |u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))|([^\\])""",
    re.VERBOSE | re.DOTALL,
)
_SIMPLE = dict(zip("abfnrtv\\'\"", "\a\b\f\n\r\t\v\\'\"", strict=True))
_INT64 = range(-(1 << 63), 1 << 63)
_SURROGATES = range(0xD800, 0xE000)
_LAST_CODE_POINT = 0x10FFFF
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6,
          "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}  # fmt: skip
_SPAN = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")
_MAX_DIGITS = 40


def unquote(literal: str) -> str:
    """The text of a string literal, quotes included in ``literal``.

    Raises:
        ValueError: It is none, or not UTF-8.
    """
    quote, inner = literal[0], literal[1:-1]
    if quote == "`":
        return inner.replace("\r", "")
    content, position = bytearray(), 0
    while position < len(inner):
        found = _ESCAPE.match(inner, position)
        if found is None or found[1] in ({"'", '"'} - {quote}):
            raise ValueError("the string has an escape that Go does not know")
        content += _unescaped(found)
        position = found.end()
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError("the string is not UTF-8, and texts are UTF-8 in CEL") from None
    if quote == "'" and len(text) != 1:
        raise ValueError("single quotes hold one character; write double quotes")
    return text


def _unescaped(found: re.Match[str]) -> bytes:
    simple, octal, hexadecimal, *code_points, plain = found.groups()
    if plain is not None:
        return str(plain).encode(errors="surrogatepass")
    if simple is not None:
        return _SIMPLE[simple].encode()
    if octal is not None or hexadecimal is not None:
        number = int(octal, 8) if octal is not None else int(hexadecimal, 16)
        if number > 0xFF:
            raise ValueError("the string has an escape beyond one byte")
        return bytes([number])
    number = int(code_points[0] or code_points[1], 16)
    if number in _SURROGATES or number > _LAST_CODE_POINT:
        raise ValueError("the string has an escape that is no character")
    return chr(number).encode()


def parse_duration(text: str) -> int | None:
    """Nanoseconds of ``1h2m3.5s``, or None where Go reads no duration."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    total, position = 0, 0
    while position < len(rest):
        found = _SPAN.match(rest, position)
        if found is None or not (found[1] or found[2]) or len(found[0]) > _MAX_DIGITS:
            return None
        unit, fraction = _UNITS[found[3]], found[2] or ""
        total += int(found[1] or 0) * unit + int(fraction or 0) * unit // 10 ** len(fraction)
        position = found.end()
    return sign * total if rest and total in _INT64 else None


def parse_int(text: str) -> int:
    """An INT64, decimal.

    Raises:
        ValueError: It is none.
    """
    if not text.isdigit() or len(text) > _MAX_DIGITS or int(text) not in _INT64:
        raise ValueError(f"{text[:_MAX_DIGITS]} is no decimal number of 64 bits")
    return int(text)


def parse_float(text: str) -> float:
    """A DOUBLE.

    Raises:
        ValueError: It is too large.
    """
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:_MAX_DIGITS]} is too large")
    return value
