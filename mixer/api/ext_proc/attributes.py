"""What a Process stream tells of a request, as attributes.

Headers are always there; everything else only where the filter's configuration asks for it, in
``request_attributes`` and ``response_attributes`` by the names that Envoy has for it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mixer.api.ext_proc.values import typed_value
from mixer.attributes import (
    CALLER_RESOLVERS,
    HTTP_RESOLVERS,
    VOCABULARY,
    AttributeBag,
    Duration,
    FindCaller,
    HeaderMap,
    IstioAttributes,
    Resolver,
    Value,
    message_value,
    whole_number,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixer.proxywasm import HttpMessage


@dataclass(slots=True)
class StreamSource:
    """What the resolvers are given.

    Attributes:
        headers: The request's headers as they are now.
        caller: Tells who asks.
        sent: The ``attributes`` of the messages that had any, the latest first.
        message: The request, once its stream began.
        began: When the stream did, in nanoseconds of the monotonic clock.
        is_over: Whether its log is written.
        metadata: ``envoy.config.core.v3.Metadata`` of the first message.
    """

    headers: HeaderMap
    caller: FindCaller
    metadata: Any
    sent: list[Any] = field(default_factory=list)
    message: HttpMessage | None = None
    began: int = field(default_factory=time.monotonic_ns)
    is_over: bool = False

    def add(self, attributes: Mapping[str, Any]) -> None:
        """Take over what a message tells; what came later counts.

        Args:
            attributes: A ``google.protobuf.Struct`` by the name of the filter.
        """
        for struct in attributes.values():
            self.sent.insert(0, struct.fields)


def _sent(name: str) -> Resolver:
    def resolve(source: StreamSource) -> Value | None:
        found = next((fields[name] for fields in source.sent if name in fields), None)
        return None if found is None else typed_value(name, found)

    return resolve


def _size(source: StreamSource) -> Value | None:
    """The content length, or what came of the body so far: as Envoy has it."""
    length = whole_number(source.headers.first(b"content-length"))
    if length is not None:
        return length
    told = _sent("request.size")(source)
    received = 0 if source.message is None else source.message.received
    return max(received, told) if isinstance(told, int) else received


def _duration(source: StreamSource) -> Value | None:
    """There is one only once the stream is over."""
    return Duration(time.monotonic_ns() - source.began) if source.is_over else None


def _total_size(source: StreamSource) -> Value | None:
    told = _sent("request.total_size")(source)
    return source.headers.byte_size() if told is None else told


def _metadata(source: StreamSource) -> Value | None:
    return message_value(source.metadata)


def _by_istio_names(source: StreamSource) -> Value | None:
    return IstioAttributes(AttributeBag(RESOLVERS, source).get)


_FROM_MESSAGES: dict[str, Resolver] = {
    **HTTP_RESOLVERS,
    **CALLER_RESOLVERS,
    "request.duration": _duration,
    "request.size": _size,
    "request.total_size": _total_size,
    "metadata": _metadata,
    "mixer.attribute": _by_istio_names,
}

# Told once, with the response's headers, and wrong afterwards: the host itself knows them better.
_OF_THE_HOST = frozenset(
    f"response.{name}"
    for name in (
        "code", "grpc_status", "headers", "headers_bytes", "size", "total_size", "trailers",
    )
)  # fmt: skip
_NOT_OF_PROXIES = ("plugin_", "mixer.")

RESOLVERS: Mapping[str, Resolver] = MappingProxyType(
    {
        name: _sent(name)
        for name in VOCABULARY
        if name not in _OF_THE_HOST and not name.startswith(_NOT_OF_PROXIES)
    }
    | _FROM_MESSAGES
)
"""How to compute each attribute from a `StreamSource`."""
