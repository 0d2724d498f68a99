"""Generated messages in another form: the same bytes, read in another way.

Texts that are not UTF-8: proxies hand over what a request had, and C++ serializes it with no more
than a complaint in its log; Python refuses to parse all of it. A syntax in which texts are not
looked at reads them: those that are UTF-8 come as texts, the others as bytes.

Batches: a message for each of thousands of records takes a hundred times their bytes. Records that
are left as bytes are parsed when their turn comes.
"""

from collections.abc import Callable
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_File = descriptor_pb2.FileDescriptorProto

Change = Callable[[_File], None]
"""Changes one file in place; it is called for each."""


def twins(file: Any, change: Change = lambda _file: None) -> dict[str, Any]:
    """The messages of a file, and of those that it imports.

    Args:
        file: The ``DESCRIPTOR`` of a generated module.
        change: What else to change in them.

    Returns:
        Classes by the full names of the messages, which stay the same.
    """
    pool = descriptor_pool.DescriptorPool()
    names = list[str]()
    _add(pool, file, change, names)
    return message_factory.GetMessageClassesForFiles(names, pool)


def _add(pool: descriptor_pool.DescriptorPool, file: Any, change: Change, names: list[str]) -> None:
    if file.name in names:
        return
    for dependency in file.dependencies:
        _add(pool, dependency, change, names)
    own = _File.FromString(file.serialized_pb)
    own.syntax = "proto2"
    change(own)
    pool.Add(own)
    names.append(file.name)


def leave_bytes(*fields: str) -> Change:
    """A change: fields that hold messages hold their bytes.

    Args:
        fields: Their full names, such as ``istio.mixer.v1.ReportRequest.attributes``.
    """

    def change(file: _File) -> None:
        for message in file.message_type:
            _leave(f"{file.package}.{message.name}", message, fields)

    return change


def _leave(name: str, message: descriptor_pb2.DescriptorProto, fields: tuple[str, ...]) -> None:
    for field in message.field:
        if f"{name}.{field.name}" in fields:
            field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
            field.ClearField("type_name")
    for nested in message.nested_type:
        _leave(f"{name}.{nested.name}", nested, fields)


def text_of(value: str | bytes) -> str:
    """A text of such a message; bytes that are not UTF-8 are kept by ``surrogateescape``."""
    return value if isinstance(value, str) else value.decode(errors="surrogateescape")


def bytes_of(value: str | bytes) -> bytes:
    """The same as bytes, exactly as they were sent."""
    return value if isinstance(value, bytes) else value.encode()
