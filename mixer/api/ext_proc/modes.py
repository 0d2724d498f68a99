"""Which parts of a stream a filter sends and how, as far as its first message tells.

Envoy tells the modes of the bodies, and nothing of headers and trailers. A service may ask for
others (``mode_override``) with the answer to headers; a filter that does not allow that goes on as
it was configured, without a word.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

from envoy.extensions.filters.http.ext_proc.v3 import processing_mode_pb2
from envoy.service.ext_proc.v3 import external_processor_pb2

from mixer.api.ext_proc.errors import ProtocolError
from mixer.engine import Sees

_Mode = processing_mode_pb2.ProcessingMode


class BodyMode(IntEnum):
    """How a body is sent; numbered as ``ProcessingMode.BodySendMode``."""

    NONE = _Mode.NONE
    STREAMED = _Mode.STREAMED
    BUFFERED = _Mode.BUFFERED
    BUFFERED_PARTIAL = _Mode.BUFFERED_PARTIAL
    FULL_DUPLEX_STREAMED = _Mode.FULL_DUPLEX_STREAMED

    __hash__ = int.__hash__

    @property
    def holds_headers(self) -> bool:
        """Whether the proxy keeps the headers until the body is answered."""
        return self in (BodyMode.BUFFERED, BodyMode.BUFFERED_PARTIAL)


@dataclass(frozen=True, slots=True)
class Modes:
    """What a filter is configured to send.

    Attributes:
        request: How the request's body comes.
        response: How the response's body comes.
        body_before_answer: Whether pieces of a body come before its headers are answered.
        told: Whether the filter said so. Without it the bodies, if any come, are answered piece by
            piece, which is right in all modes but FULL_DUPLEX_STREAMED.
    """

    request: BodyMode = BodyMode.STREAMED
    response: BodyMode = BodyMode.STREAMED
    body_before_answer: bool = False
    told: bool = False

    @property
    def full_duplex(self) -> bool:
        """Whether a body flows independently of its answers."""
        return BodyMode.FULL_DUPLEX_STREAMED in (self.request, self.response)


def read_modes(message: Any) -> Modes:
    """The modes that the first ``ProcessingRequest`` of a stream tells.

    Raises:
        ProtocolError: One of them is not supported.
    """
    if not message.HasField("protocol_config"):
        return Modes()
    config = message.protocol_config
    return _modes(
        config.request_body_mode,
        config.response_body_mode,
        config.send_body_without_waiting_for_header_response,
    )


@lru_cache(maxsize=64)
def _modes(request: int, response: int, body_before_answer: bool) -> Modes:
    try:
        return Modes(BodyMode(request), BodyMode(response), body_before_answer, told=True)
    except ValueError:
        raise ProtocolError("body_mode_is_not_supported") from None


_OF_RESPONSES = Sees.RESPONSE_HEADERS | Sees.RESPONSE_BODY | Sees.RESPONSE_TRAILERS | Sees.LOG
_HEADER_MODES = {
    _OF_RESPONSES: "response_header_mode",
    Sees.REQUEST_TRAILERS: "request_trailer_mode",
    Sees.RESPONSE_TRAILERS: "response_trailer_mode",
}


@lru_cache(maxsize=256)
def encode_override(modes: Modes, sees: Sees, buffered: Sees) -> bytes:
    """What to ask the filter for, as fields of a ``ProcessingResponse``; empty where all is well.

    A body that nobody looks at need not be sent. One that somebody looks at is asked for piece by
    piece, as inside Envoy: it is the mode that breaks no request, however long its body is. In full
    duplex Envoy takes no override.

    Args:
        modes: What the filter sends.
        sees: What the adapters have callbacks for.
        buffered: Bodies that are to come as a whole.
    """
    if not modes.told or modes.full_duplex:
        return b""
    response = external_processor_pb2.ProcessingResponse()
    mode = response.mode_override
    mode.request_body_mode = _wanted(modes.request, Sees.REQUEST_BODY, sees, buffered)
    mode.response_body_mode = _wanted(modes.response, Sees.RESPONSE_BODY, sees, buffered)
    same = (mode.request_body_mode, mode.response_body_mode) == (modes.request, modes.response)
    for part, field in _HEADER_MODES.items():
        if part & sees:
            setattr(mode, field, _Mode.SEND)
            same = False
    return b"" if same else bytes(response.SerializeToString())


def _wanted(configured: BodyMode, body: Sees, sees: Sees, buffered: Sees) -> BodyMode:
    if body & buffered:
        return BodyMode.BUFFERED
    if not body & sees:
        return BodyMode.NONE
    return BodyMode.STREAMED if configured is BodyMode.NONE else configured
