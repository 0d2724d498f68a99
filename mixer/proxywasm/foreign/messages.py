"""The protobuf messages in which arguments and results come.

Source: Envoy, ``source/extensions/common/wasm/ext/*.proto``.
"""

from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

_PACKAGE = "envoy.source.extensions.common.wasm"
_STRING = FieldDescriptorProto.TYPE_STRING
_BYTES = FieldDescriptorProto.TYPE_BYTES
_BOOL = FieldDescriptorProto.TYPE_BOOL
_ENUM = FieldDescriptorProto.TYPE_INT32  # an open enumeration looks the same on the wire

_MESSAGES: dict[str, dict[str, tuple[int, FieldDescriptorProto.Type.ValueType]]] = {
    "DeclarePropertyArguments": {
        "name": (1, _STRING),
        "readonly": (2, _BOOL),
        "type": (3, _ENUM),
        "schema": (4, _BYTES),
        "span": (5, _ENUM),
    },
    "SetEnvoyFilterStateArguments": {
        "path": (1, _STRING),
        "value": (2, _STRING),
        "span": (3, _ENUM),
    },
    "VerifySignatureArguments": {
        "hash_function": (1, _STRING),
        "public_key": (2, _BYTES),
        "signature": (3, _BYTES),
        "text": (4, _BYTES),
        "public_key_pem": (5, _STRING),
    },
    "VerifySignatureResult": {"result": (1, _BOOL), "error": (2, _STRING)},
    "SignArguments": {
        "hash_function": (1, _STRING),
        "private_key": (2, _BYTES),
        "text": (3, _BYTES),
        "private_key_pem": (4, _STRING),
    },
    "SignResult": {"result": (1, _BOOL), "signature": (2, _BYTES), "error": (3, _STRING)},
}


def _file() -> FileDescriptorProto:
    file = FileDescriptorProto(name="foreign.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            label = FieldDescriptorProto.LABEL_OPTIONAL
            message.field.add(name=field, number=number, type=kind, label=label)
    return file


# A pool of its own: the names are Envoy's, and another library may bring them along.
_POOL = DescriptorPool()
_POOL.Add(_file())


def _message_class(name: str) -> Any:
    return GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


DeclarePropertyArguments = _message_class("DeclarePropertyArguments")
SetEnvoyFilterStateArguments = _message_class("SetEnvoyFilterStateArguments")
VerifySignatureArguments = _message_class("VerifySignatureArguments")
VerifySignatureResult = _message_class("VerifySignatureResult")
SignArguments = _message_class("SignArguments")
SignResult = _message_class("SignResult")


def parse(kind: Any, data: bytes) -> Any | None:
    """A message of a kind, or None where the bytes are none."""
    try:
        return kind.FromString(data)
    except DecodeError:
        return None
