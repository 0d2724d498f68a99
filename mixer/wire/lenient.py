"""Messages parsed in other ways than their descriptors have it; the bytes are the same.

Texts that are not UTF-8: proxies hand over what a request had, and C++ serializes it with no more
than a complaint in its log; Python refuses to parse it. To refuse such a request would let it pass
wherever a proxy is configured to fail open, so that whoever sends one byte could switch the policy
off.

Reports: a message for each of thousands of records takes a hundred times their bytes.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from mixer.wire import mixer_v1_pb2 as pb

_M = TypeVar("_M", bound=Message)
_File = descriptor_pb2.FileDescriptorProto
_PACKAGE = "istio.mixer.v1"


class ReportFrames(Protocol):
    """A ``ReportRequest`` whose records are not parsed.

    Attributes:
        attributes: The bytes of each record.
        default_words: Those that are not UTF-8 are bytes.
        global_word_count: As in the request, and so the next one.
        repeated_attributes_semantics: See there.
    """

    attributes: Sequence[bytes]
    default_words: Sequence[str | bytes]
    global_word_count: int
    repeated_attributes_semantics: int


def parse(kind: type[_M], data: bytes) -> _M:
    """Parse a message of `mixer.wire.mixer_v1_pb2`; texts that are not UTF-8 come as bytes.

    Raises:
        DecodeError: The bytes are no such message.
    """
    try:
        return kind.FromString(data)
    except DecodeError:
        twin: _M = _twins()[kind.DESCRIPTOR.full_name].FromString(data)
        return twin


def parse_frames(data: bytes) -> ReportFrames:
    """Parse a ReportRequest, but not its records.

    Raises:
        DecodeError: The bytes are no such message.
    """
    frames: ReportFrames = _frames()[f"{_PACKAGE}.ReportRequest"].FromString(data)
    return frames


@cache
def _twins() -> dict[str, Any]:
    return _classes(lambda _file: None)


@cache
def _frames() -> dict[str, Any]:
    return _classes(_leave_records)


def _leave_records(file: _File) -> None:
    (report,) = (one for one in file.message_type if one.name == "ReportRequest")
    (records,) = (field for field in report.field if field.name == "attributes")
    records.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
    records.ClearField("type_name")


def _classes(change: Callable[[_File], None]) -> dict[str, Any]:
    """The same messages with a change, in a syntax in which texts are not looked at."""
    pool = descriptor_pool.DescriptorPool()
    for dependency in pb.DESCRIPTOR.dependencies:
        _add(pool, dependency)
    own = _File.FromString(pb.DESCRIPTOR.serialized_pb)
    own.syntax = "proto2"
    change(own)
    pool.Add(own)
    return message_factory.GetMessageClassesForFiles([own.name], pool)


def _add(pool: descriptor_pool.DescriptorPool, file: Any) -> None:
    for dependency in file.dependencies:
        _add(pool, dependency)
    pool.AddSerializedFile(file.serialized_pb)
