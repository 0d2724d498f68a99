"""What the response tells of itself, in every phase since it is there."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from mixer.attributes import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixer.attributes import HeaderMap, Value
    from mixer.proxywasm.http_stream import HttpStream

_UPSTREAM = "via_upstream"
_GRPC_OF_HTTP = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
_GRPC_UNKNOWN = 2


def _code(stream: HttpStream) -> int | None:
    response = stream.response
    return None if response is None else whole_number(response.headers.first(b":status"))


def _code_details(stream: HttpStream) -> str | None:
    if stream.response is None:
        return None
    local = stream.local_response
    return _UPSTREAM if local is None else local.details


def grpc_status(stream: HttpStream, *readable: HeaderMap | None) -> int | None:
    """What the trailers or headers say that can be read now, or what the HTTP status means."""
    for headers in readable:
        status = None if headers is None else whole_number(headers.first(b"grpc-status"))
        if status is not None:
            return status
    code = _code(stream)
    return None if code is None else _GRPC_OF_HTTP.get(code, _GRPC_UNKNOWN)


OF_RESPONSE: MappingProxyType[str, Callable[[HttpStream], Value | None]] = MappingProxyType(
    {"code": _code, "code_details": _code_details}
)
"""``response.*`` by last name."""
