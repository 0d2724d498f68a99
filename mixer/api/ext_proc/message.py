"""One message of a proxy."""

from typing import Any, NamedTuple

from envoy.service.ext_proc.v3 import external_processor_pb2
from google.protobuf.message import DecodeError

from mixer.api.ext_proc.errors import ProtocolError
from mixer.api.ext_proc.lifecycle import Phase

_PHASES = {phase.value: phase for phase in Phase}
_TRAILERS = (Phase.REQUEST_TRAILERS, Phase.RESPONSE_TRAILERS)


class Message(NamedTuple):
    """A ``ProcessingRequest``.

    Attributes:
        phase: What it is about.
        content: ``HttpHeaders``, ``HttpBody`` or ``HttpTrailers``.
        ends: Whether the request or the response ends with it.
        whole: All of it.
    """

    phase: Phase
    content: Any
    ends: bool
    whole: Any


def decode(data: bytes) -> Message:
    """Read a message.

    Raises:
        ProtocolError: It is none, or about nothing that is known.
    """
    try:
        whole = external_processor_pb2.ProcessingRequest.FromString(data)
    except DecodeError:
        raise ProtocolError("not_a_ProcessingRequest") from None
    phase = _PHASES.get(whole.WhichOneof("request"))
    if phase is None:
        raise ProtocolError("message_of_an_unknown_kind")
    content = getattr(whole, phase)
    return Message(phase, content, phase in _TRAILERS or content.end_of_stream, whole)
