"""What a module can read of a callout, while it is told of it and no longer."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mixer.attributes import HeaderMap, PairSource
from mixer.proxywasm.abi import BufferType, MapType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixer.callouts.ports import DnsAddress, DnsReply, HttpReply, Pairs


@dataclass(frozen=True, slots=True)
class CalloutView:
    """The maps and buffers of one callback, and the status that ``proxy_get_status`` tells.

    Attributes:
        maps: By type.
        buffers: By type.
        status: Of the callout; 0 for an HTTP response, whatever its own status.
        message: The text of the status.
    """

    maps: Mapping[MapType, HeaderMap] = field(default_factory=dict)
    buffers: Mapping[BufferType, bytes] = field(default_factory=dict)
    status: int = 0
    message: str = ""


def of_http(reply: HttpReply | None) -> CalloutView:
    """For ``proxy_on_http_call_response``; nothing to read of a callout that was given up."""
    if reply is None:
        return CalloutView(message="reset")
    return CalloutView(
        {
            MapType.HTTP_CALL_RESPONSE_HEADERS: _map(reply.headers),
            MapType.HTTP_CALL_RESPONSE_TRAILERS: _map(reply.trailers),
        },
        {BufferType.HTTP_CALL_RESPONSE_BODY: reply.body},
    )


def of_metadata(kind: MapType, metadata: Pairs) -> CalloutView:
    """For ``proxy_on_grpc_receive_initial_metadata`` and ``_trailing_metadata``."""
    return CalloutView({kind: _map(metadata)})


def of_buffer(kind: BufferType, content: bytes) -> CalloutView:
    """For ``proxy_on_grpc_receive`` and ``proxy_on_redis_call_response``."""
    return CalloutView(buffers={kind: content})


def of_dns(reply: DnsReply) -> CalloutView:
    """For ``envoy_on_resolve_dns``; no bytes where asking failed."""
    content = b"" if reply is None else _serialize(reply)
    return of_buffer(BufferType.CALL_DATA, content)


def _serialize(reply: tuple[DnsAddress, ...]) -> bytes:
    """Envoy's format: how many, each time to live (u32), each address with port 0 and a NUL."""
    numbers = struct.pack(f"<{1 + len(reply)}I", len(reply), *(one.ttl for one in reply))
    return numbers + b"".join(_with_port(one.ip) + b"\0" for one in reply)


def _with_port(ip: str) -> bytes:
    return (f"[{ip}]:0" if ":" in ip else f"{ip}:0").encode()


def _map(pairs: Pairs) -> HeaderMap:
    return HeaderMap(PairSource(list(pairs)))
