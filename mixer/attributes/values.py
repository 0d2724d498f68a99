"""The types that an attribute can have: those of Envoy's attributes and of CEL.

Bytes of a header that are not UTF-8 are kept in text by Python's ``surrogateescape``, so that a
module gets back exactly what was sent.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any

_NO_FIELDS: Mapping[str, Any] = MappingProxyType({})


class Timestamp(int):
    """Nanoseconds since the Unix epoch."""


class Duration(int):
    """Nanoseconds."""


class Uint(int):
    """An unsigned integer of 64 bits."""


class Message(bytes):
    """A serialized protobuf message.

    Attributes:
        fields: Its fields by name, decoded when they are read.
    """

    fields: Mapping[str, Any]

    def __new__(cls, serialized: bytes = b"", fields: Mapping[str, Any] | None = None) -> "Message":
        """Make one of its bytes, and of its fields where they are known."""
        message = super().__new__(cls, serialized)
        message.fields = _NO_FIELDS if fields is None else fields
        return message


Value = (
    str | bytes | bool | int | float | Uint | Timestamp | Duration | Message
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
