"""What the attributes of a typed request follow from, and those that follow from its messages."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mixer.attributes import Duration, HeaderMap, Resolver, Value
from mixer.proxywasm import HttpMessage, HttpStream

_UPSTREAM = "via_upstream"
_GRPC_OF_HTTP = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
_GRPC_UNKNOWN = 2


@dataclass(slots=True)
class TypedSource:
    """What the resolvers of a typed request are given.

    Attributes:
        request: The request.
        properties: Attributes that were given.
        stream: Its stream, with the response once there is one.
        finished: Whether the stream is over, so that its log is written.
        logged: Whether that was written too.
        began: When it began, in nanoseconds of the monotonic clock.
    """

    request: HttpMessage
    properties: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))
    stream: HttpStream | None = None
    finished: bool = False
    logged: bool = False
    began: int = field(default_factory=time.monotonic_ns)

    @property
    def headers(self) -> HeaderMap:
        """The request's headers."""
        return self.request.headers

    @property
    def response(self) -> HttpMessage | None:
        """The response, once there is one."""
        return None if self.stream is None else self.stream.response


def _of_response(find: Callable[[HttpMessage], Value | None]) -> Resolver:
    def resolve(source: TypedSource) -> Value | None:
        return None if source.response is None else find(source.response)

    return resolve


def _until_logged(find: Callable[[HttpMessage], Value | None]) -> Resolver:
    """In Envoy, the done callback does not find these any more."""
    found = _of_response(find)
    return lambda source: None if source.logged else found(source)


def _duration(source: TypedSource) -> Value | None:
    return Duration(time.monotonic_ns() - source.began) if source.finished else None


def _code(response: HttpMessage) -> int | None:
    status = response.headers.first(b":status")
    return int(status) if status and status.isdigit() else None


def _code_details(source: TypedSource) -> Value | None:
    if source.response is None or source.stream is None:
        return None
    local = source.stream.local_response
    return _UPSTREAM if local is None else local.details


def _grpc_status(response: HttpMessage) -> int | None:
    for headers in (response.trailers, response.headers):
        status = None if headers is None else headers.first(b"grpc-status")
        if status is not None and status.isdigit():
            return int(status)
    code = _code(response)
    return None if code is None else _GRPC_OF_HTTP.get(code, _GRPC_UNKNOWN)


def _request_size(source: TypedSource) -> int:
    length = source.headers.first(b"content-length") or b""
    return int(length) if length.isdigit() else source.request.received


def _size(message: HttpMessage | None) -> int:
    return len(message.body) if message else 0


def _request_total_size(request: HttpMessage) -> int:
    trailers = request.trailers.byte_size() if request.trailers is not None else 0
    return request.headers.byte_size() + request.received + trailers


def _total_size(message: HttpMessage | None) -> int:
    if message is None:
        return 0
    trailers = message.trailers.byte_size() if message.trailers is not None else 0
    return message.headers.byte_size() + len(message.body) + trailers


MESSAGE_RESOLVERS = MappingProxyType[str, Resolver](
    {
        "request.size": _request_size,
        "request.trailers": lambda s: s.request.trailers,
        "request.total_size": lambda s: _request_total_size(s.request),
        "request.duration": _duration,
        "response.code": _of_response(_code),
        "response.code_details": _code_details,
        "response.headers": _until_logged(lambda r: r.headers),
        "response.trailers": _until_logged(lambda r: r.trailers),
        "response.grpc_status": _of_response(_grpc_status),
        "response.flags": lambda _: 0,
        "response.size": lambda s: _size(s.response) if s.finished else 0,
        "response.total_size": lambda s: _total_size(s.response) if s.finished else 0,
    }
)
"""``request.*`` and ``response.*`` as far as the messages tell them; sizes are those sent."""
