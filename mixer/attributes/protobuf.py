"""Protobuf messages as attributes, with the conversions of CEL.

Well-known types become the values that they stand for; the fields of other messages are decoded
when they are read.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from mixer.attributes.values import Duration, Message, Timestamp, Uint

_NS = 1_000_000_000


def message_value(message: Any) -> Message:
    """A message as an attribute."""
    return Message(message.SerializeToString(), _Fields(message))


def plain_value(message: Any) -> Any:
    """A message as a value of CEL: what a well-known type stands for, or a `Message`."""
    convert = _WELL_KNOWN.get(message.DESCRIPTOR.full_name)
    return message_value(message) if convert is None else convert(message)


def plain_struct(struct: Any) -> dict[str, Any]:
    """A ``google.protobuf.Struct``; unlike in JSON, numbers may be NaN."""
    return {name: _plain(value) for name, value in struct.fields.items()}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return plain_struct(value.struct_value)
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)


def _span(message: Any) -> int:
    return int(message.seconds) * _NS + int(message.nanos)


_WELL_KNOWN: dict[str, Callable[[Any], Any]] = {
    "google.protobuf.Struct": plain_struct,
    "google.protobuf.Value": _plain,
    "google.protobuf.ListValue": lambda m: [_plain(item) for item in m.values],
    "google.protobuf.Timestamp": lambda m: Timestamp(_span(m)),
    "google.protobuf.Duration": lambda m: Duration(_span(m)),
    **{
        f"google.protobuf.{name}Value": lambda m: m.value
        for name in ("String", "Bytes", "Bool", "Int32", "Int64", "Double", "Float")
    },
    **{f"google.protobuf.UInt{bits}Value": lambda m: Uint(m.value) for bits in (32, 64)},
}

_UNSIGNED = frozenset(
    {
        FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_FIXED32, FieldDescriptor.TYPE_FIXED64,
    }
)  # fmt: skip


class _Fields(Mapping[str, Any]):
    """The fields of a message by name; those that are not set have their default values."""

    __slots__ = ("_message",)

    def __init__(self, message: Any) -> None:
        self._message = message

    def __getitem__(self, name: str) -> Any:
        field = self._message.DESCRIPTOR.fields_by_name[name]
        value = getattr(self._message, name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            kind = field.message_type.fields_by_name["value"]
            return {key: _field(kind, value[key]) for key in value}
        if field.is_repeated:
            return [_field(field, item) for item in value]
        return _field(field, value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._message.DESCRIPTOR.fields_by_name)

    def __len__(self) -> int:
        return len(self._message.DESCRIPTOR.fields)


def _field(field: FieldDescriptor, value: Any) -> Any:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return plain_value(value)
    return Uint(value) if field.type in _UNSIGNED else value
