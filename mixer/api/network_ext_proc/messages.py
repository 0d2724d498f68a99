"""ProcessingRequest and ProcessingResponse as values."""

from dataclasses import dataclass
from typing import Any

from envoy.service.network_ext_proc.v3 import network_external_processor_pb2 as pb2
from google.protobuf.message import DecodeError

from mixer.engine import Decision

_UNMODIFIED = pb2.ProcessingResponse.UNMODIFIED
_MODIFIED = pb2.ProcessingResponse.MODIFIED
_NAMESPACE = "envoy.filters.network.ext_proc"

CLOSE: bytes = pb2.ProcessingResponse(
    connection_status=pb2.ProcessingResponse.CLOSE
).SerializeToString()
"""Has the proxy close the connection, whether it fails open or not."""


class MalformedMessageError(Exception):
    """The bytes are no message that may come, or come now."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one side of the connection sent.

    Attributes:
        data: The bytes.
        end_of_stream: Whether nothing comes after them.
        from_upstream: Which side: the upstream (``write_data``) or the client (``read_data``).
        metadata: The connection's, ``envoy.config.core.v3.Metadata``; None where none came.
    """

    data: bytes
    end_of_stream: bool = False
    from_upstream: bool = False
    metadata: Any = None


def decode(message: bytes) -> Piece:
    """Read a ProcessingRequest. Raises MalformedMessageError."""
    try:
        request = pb2.ProcessingRequest.FromString(message)
    except DecodeError as error:
        raise MalformedMessageError(f"not a ProcessingRequest: {error}") from error
    from_upstream = request.HasField("write_data")
    if from_upstream == request.HasField("read_data"):
        raise MalformedMessageError("a ProcessingRequest has one of read_data and write_data")
    data = request.write_data if from_upstream else request.read_data
    metadata = request.metadata if request.HasField("metadata") else None
    return Piece(data.data, data.end_of_stream, from_upstream, metadata)


def encode(piece: Piece, *, modified: bool, decision: Decision | None = None) -> bytes:
    """Write a ProcessingResponse.

    Args:
        piece: What is to be passed on.
        modified: Whether that differs from what came.
        decision: Is told in the dynamic metadata, if it is given.
    """
    response = pb2.ProcessingResponse()
    data = response.write_data if piece.from_upstream else response.read_data
    data.SetInParent()
    data.data, data.end_of_stream = piece.data, piece.end_of_stream
    response.data_processing_status = _MODIFIED if modified else _UNMODIFIED
    if decision is not None:
        response.dynamic_metadata.update({_NAMESPACE: _described(decision)})
    return bytes(response.SerializeToString())


def _described(decision: Decision) -> dict[str, Any]:
    return {
        "verdict": decision.verdict.value,
        "adapter": decision.adapter,
        "reason": decision.reason,
        "adapters": list(decision.adapters),
        **({"failed_open": list(decision.failed_open)} if decision.failed_open else {}),
    }
