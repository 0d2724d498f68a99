"""Mixer's messages parsed in other ways than their descriptors have it; see `mixer.wire.twins`.

To refuse a request for a text that is not UTF-8 would let it pass wherever a proxy is configured to
fail open, so that whoever sends one byte could switch the policy off.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol, TypeVar

from google.protobuf.message import DecodeError, Message

from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.twins import leave_bytes, twins

_M = TypeVar("_M", bound=Message)
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
    return twins(pb.DESCRIPTOR)


@cache
def _frames() -> dict[str, Any]:
    return twins(pb.DESCRIPTOR, leave_bytes(f"{_PACKAGE}.ReportRequest.attributes"))
