"""The attributes, declared for Google's type checker.

A group such as ``request`` is declared as a message with its attributes as fields, so that an
unknown name, a wrong type and ``has(request.referer)`` are understood before anything runs.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from cel_expr_python import cel
from google.protobuf import any_pb2, descriptor_pool, duration_pb2, struct_pb2, timestamp_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from mixer.attributes import VOCABULARY, Kind
from mixer.cel.activation import GROUPS

PACKAGE = "attributes"
"""Of the messages that stand for groups."""

_TEXT_MAPS = frozenset(
    {
        "request.headers", "response.headers", "response.trailers",
        "source.labels", "destination.labels", "context_extensions",
    }
)  # fmt: skip
"""The maps whose values are text; what others hold is known only when they are read."""

_Field = FieldDescriptorProto
_SCALARS: Mapping[Kind, Any] = {
    Kind.STRING: _Field.TYPE_STRING,
    Kind.BYTES: _Field.TYPE_BYTES,
    Kind.BOOL: _Field.TYPE_BOOL,
    Kind.INT: _Field.TYPE_INT64,
    Kind.UINT: _Field.TYPE_UINT64,
    Kind.DOUBLE: _Field.TYPE_DOUBLE,
}
_WELL_KNOWN = {
    Kind.TIMESTAMP: "Timestamp",
    Kind.DURATION: "Duration",
    Kind.MAP: "Struct",
    Kind.LIST: "ListValue",
    Kind.MESSAGE: "Value",
}
_TEXT_MAP = cel.Type.Map(cel.Type.STRING, cel.Type.STRING)
_TYPES: Mapping[Kind, Any] = {
    Kind.STRING: cel.Type.STRING,
    Kind.BYTES: cel.Type.BYTES,
    Kind.BOOL: cel.Type.BOOL,
    Kind.INT: cel.Type.INT,
    Kind.UINT: cel.Type.UINT,
    Kind.DOUBLE: cel.Type.DOUBLE,
    Kind.TIMESTAMP: cel.Type.TIMESTAMP,
    Kind.DURATION: cel.Type.DURATION,
    Kind.MAP: cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    Kind.LIST: cel.Type.List(cel.Type.DYN),
    Kind.MESSAGE: cel.Type.DYN,
}


@cache
def environment() -> Any:
    """The environment of the checker; made once, since it takes milliseconds."""
    pool = descriptor_pool.DescriptorPool()
    for module in (any_pb2, duration_pb2, struct_pb2, timestamp_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    pool.Add(_groups())
    single = {name: kind for name, kind in VOCABULARY.items() if "." not in name}
    return cel.NewEnv(
        pool,
        variables={
            **{name: cel.Type(f"{PACKAGE}.{name}") for name in GROUPS},
            **{n: _TEXT_MAP if n in _TEXT_MAPS else _TYPES[kind] for n, kind in single.items()},
        },
    )


def _groups() -> FileDescriptorProto:
    file = FileDescriptorProto(name="attributes.proto", package=PACKAGE, syntax="proto3")
    file.dependency.extend(
        f"google/protobuf/{name}.proto" for name in ("duration", "struct", "timestamp")
    )
    messages = {group: file.message_type.add(name=group) for group in sorted(GROUPS)}
    for name, kind in VOCABULARY.items():
        group, dot, field = name.partition(".")
        if dot:
            _declare(messages[group], field, kind, text_map=name in _TEXT_MAPS)
    return file


def _declare(message: DescriptorProto, name: str, kind: Kind, *, text_map: bool) -> None:
    field = message.field.add(name=name, number=len(message.field) + 1, label=_Field.LABEL_OPTIONAL)
    if text_map:
        _make_text_map(message, field)
    elif kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".google.protobuf.{_WELL_KNOWN[kind]}"


def _make_text_map(message: DescriptorProto, field: FieldDescriptorProto) -> None:
    """A map is a repeated message with a name that follows from the field's."""
    entry = message.nested_type.add(name=f"{field.name.title().replace('_', '')}Entry")
    entry.options.map_entry = True
    for number, part in enumerate(("key", "value"), start=1):
        entry.field.add(
            name=part, number=number, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL
        )
    field.label, field.type = _Field.LABEL_REPEATED, _Field.TYPE_MESSAGE
    field.type_name = f".{PACKAGE}.{message.name}.{entry.name}"
