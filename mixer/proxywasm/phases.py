"""Which attributes of the messages a module can read in which phase, as in Envoy.

A message's headers can be read in their own phase and in the log; what follows from them is absent
in between, or what it is for a message without headers.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mixer.attributes import grpc_status
from mixer.proxywasm.abi import BufferType
from mixer.proxywasm.lifecycle import End
from mixer.proxywasm.response_attributes import OF_RESPONSE, code_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixer.attributes import HeaderMap, Value
    from mixer.proxywasm.http_stream import HttpStream
    from mixer.proxywasm.stream_access import StreamAccess

    Read = Callable[[Any], Value | None]
    """Given a `StreamAccess`."""


def _received(context: StreamAccess) -> Value:
    if context.reads is not None:
        context.reads.saw_buffer(BufferType.HTTP_REQUEST_BODY)
    message = context.stream.request
    return message.received or len(message.body)


_WHILE_CLOSED: dict[str, Read] = {
    **dict.fromkeys(
        ("path", "url_path", "host", "scheme", "method", "referer", "useragent", "id", "query"),
        lambda _: None,
    ),
    "headers": lambda _: {},
    "headers_bytes": lambda _: 0,
    "size": _received,
    "total_size": _received,
}


def _of_request(name: str, while_closed: Read) -> Read:
    def read(context: StreamAccess) -> Value | None:
        if context.request_view.headers_open or context.end is End.LOGGED:
            return context.stream.attributes.get(name)
        return while_closed(context)

    return read


def _headers(context: StreamAccess) -> HeaderMap | None:
    """Those of the response, where they can be read now."""
    view, response = context.response_view, context.stream.response
    if context.end is End.LOGGED:
        return None if response is None else response.headers
    return view.message.headers if view is not None and view.headers_open else None


def _trailers(context: StreamAccess) -> HeaderMap | None:
    view, response = context.response_view, context.stream.response
    if context.end is End.LOGGED:
        return None if response is None else response.trailers
    return None if view is None else view.trailers()


def _size_of(headers: HeaderMap | None) -> int:
    return 0 if headers is None else headers.byte_size()


def _map_of(headers: HeaderMap | None) -> Value:
    return {} if headers is None else headers


def _sent(context: StreamAccess) -> int:
    return 0 if context.stream.response is None else context.stream.response.sent


def _grpc_status(context: StreamAccess) -> int | None:
    return grpc_status(code_of(context.stream), _trailers(context), _headers(context))


def _of_response(name: str, read: Read, *, while_it_passes: bool = False) -> Read:
    """What the front end says of the response goes first.

    Args:
        name: Of the attribute.
        read: What is known of it besides.
        while_it_passes: Whether nothing is where the response did not pass here, but was told of.
    """

    def find(context: StreamAccess) -> Value | None:
        given = context.stream.attributes.get(name)
        if given is not None or (while_it_passes and context.stream.recorded):
            return given
        return read(context)

    return find


def _from_stream(read: Callable[[HttpStream], Value | None]) -> Read:
    return lambda context: read(context.stream)


_OF_RESPONSE: dict[str, Read] = {
    "headers": lambda c: _map_of(_headers(c)),
    "headers_bytes": lambda c: _size_of(_headers(c)),
    "trailers": lambda c: _map_of(_trailers(c)),
    "size": _sent,
    "total_size": lambda c: _sent(c) + _size_of(_headers(c)) + _size_of(_trailers(c)),
    "grpc_status": _grpc_status,
    "flags": lambda _: 0,
    **{name: _from_stream(read) for name, read in OF_RESPONSE.items()},
}

_WHILE_IT_PASSES = ("size", "total_size", "code_details")

PHASED = MappingProxyType(
    {
        **{f"request.{n}": _of_request(f"request.{n}", r) for n, r in _WHILE_CLOSED.items()},
        **{
            f"response.{n}": _of_response(f"response.{n}", r, while_it_passes=n in _WHILE_IT_PASSES)
            for n, r in _OF_RESPONSE.items()
        },
    }
)
"""How to read each of them; all other attributes can be read in every phase."""

PHASED_WHILE_OPEN = MappingProxyType(
    {name: read for name, read in PHASED.items() if not name.startswith("request.")}
)
"""The same while the headers of the request can be read."""
