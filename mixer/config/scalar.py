"""The value of a YAML scalar, by the rules that Kubernetes reads YAML with.

Kubernetes turns YAML into JSON before anything looks at it. Its reader differs from PyYAML's:
``1e3`` is a number, ``12:30`` is no number in base 60, and a date is a string.
"""

import math
import re

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
_INTEGER = re.compile(r"[-+]?(?:0b[01]+|0o?[0-7]+|0x[0-9a-fA-F]+|0|[1-9][0-9]*)")
_OLD_OCTAL = re.compile(r"([-+]?0)([0-7]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"([-+]?)\.(?:inf|Inf|INF)")
_NAN = frozenset({".nan", ".NaN", ".NAN"})
# Python refuses to print integers beyond 4300 digits: such a number counts as infinite.
_LONGEST_INTEGER = 1000

Scalar = str | int | float | bool | None

_PREFIX = "tag:yaml.org,2002:"
_TAGGED: dict[str, tuple[type, ...]] = {
    _PREFIX + "int": (int,),
    _PREFIX + "float": (float, int),
    _PREFIX + "bool": (bool,),
    _PREFIX + "null": (type(None),),
}
COLLECTION_TAGS = frozenset({None, "!", _PREFIX + "map", _PREFIX + "seq"})


def read_scalar(text: str, tag: str | None, *, plain: bool) -> Scalar:
    """Give a scalar its value.

    Args:
        text: Without quotes, escapes undone.
        tag: As resolved by the parser; None where there is none.
        plain: Without quotes and without tag.

    Raises:
        ValueError: The tag is not one of the JSON types, or the text is not of its type, or the
            number is not finite. The message tells neither: a password that begins with ``!`` reads
            as a tag.
    """
    if tag in {"!", _PREFIX + "str"} or (tag is None and not plain):
        return text
    value = _resolve(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("JSON has no NaN and no infinity: put quotes around it, or leave it out")
    if tag is None:
        return value
    if tag not in _TAGGED:
        raise ValueError("unknown tag: only the types of JSON may be given; quote a leading '!'")
    if type(value) not in _TAGGED[tag]:
        raise ValueError(f"not a value of the tag !!{tag.removeprefix(_PREFIX)}")
    return float(value) if tag.endswith("float") and isinstance(value, int) else value


def _resolve(text: str) -> Scalar:
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    return text if (number := _number(text)) is None else number


def _number(text: str) -> int | float | None:
    if text in _NAN:
        return math.nan
    if infinity := _INFINITY.fullmatch(text):
        return float(infinity[1] + "inf")
    digits = text.replace("_", "") if text[0] != "_" else text
    if _INTEGER.fullmatch(digits):
        return _integer(digits)
    return float(digits) if _FLOAT.fullmatch(digits) else None


def _integer(digits: str) -> int | float:
    if len(digits) > _LONGEST_INTEGER:
        return math.inf
    return int(_OLD_OCTAL.sub(r"\1o\2", digits) if _OLD_OCTAL.fullmatch(digits) else digits, 0)
