"""What the attributes of a typed request follow from, and those that follow from its messages."""

import time as clock
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mixer.attributes import Duration, HeaderMap, Message, Resolver, Timestamp, Value, whole_number
from mixer.proxywasm import HttpMessage

_NO_METADATA = Message(b"", {"filter_metadata": {}})


@dataclass(slots=True)
class TypedSource:
    """What the resolvers of a typed request are given.

    Attributes:
        request: The request.
        properties: Attributes that were given.
        finished: Whether the stream is over, so that its log is written.
        began: When it began, in nanoseconds of the monotonic clock.
        time: When it began, in nanoseconds since the Unix epoch.
    """

    request: HttpMessage
    properties: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))
    finished: bool = False
    began: int = field(default_factory=clock.monotonic_ns)
    time: Timestamp = field(default_factory=lambda: Timestamp(clock.time_ns()))

    @property
    def headers(self) -> HeaderMap:
        """The request's headers."""
        return self.request.headers


def _duration(source: TypedSource) -> Value | None:
    return Duration(clock.monotonic_ns() - source.began) if source.finished else None


def _request_size(source: TypedSource) -> int:
    length = whole_number(source.headers.first(b"content-length"))
    return source.request.received if length is None else length


MESSAGE_RESOLVERS = MappingProxyType[str, Resolver](
    {
        "request.size": _request_size,
        "request.time": lambda s: s.time,
        "request.total_size": lambda s: s.headers.byte_size() + s.request.received,
        "request.duration": _duration,
        "metadata": lambda _: _NO_METADATA,
    }
)
"""What the messages tell beyond the headers of the request; sizes are those received."""
