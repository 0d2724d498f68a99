"""The types that an attribute can have: those of Envoy's attributes and of CEL.

Bytes of a header that are not UTF-8 are kept in text by Python's ``surrogateescape``, so that a
module gets back exactly what was sent.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any


class Timestamp(int):
    """Nanoseconds since the Unix epoch."""


class Duration(int):
    """Nanoseconds."""


class Message(bytes):
    """A serialized protobuf message."""


Value = (
    str | bytes | bool | int | float | Timestamp | Duration | Message
    | Mapping[str, Any] | Sequence[Any]
)  # fmt: skip
"""What an attribute holds. An absent attribute is None, never a Value."""


class Kind(StrEnum):
    """The declared type of an attribute."""

    STRING = "string"
    BYTES = "bytes"
    BOOL = "bool"
    INT = "int"
    UINT = "uint"
    DOUBLE = "double"
    TIMESTAMP = "timestamp"
    DURATION = "duration"
    MAP = "map"
    LIST = "list"
    MESSAGE = "message"
