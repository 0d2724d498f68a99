"""What a Process stream tells of a request, as attributes.

Headers are always there; everything else only where the filter's configuration asks for it, in
``request_attributes`` and ``response_attributes`` by the names that Envoy has for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from mixer.api.ext_proc.values import typed_value
from mixer.attributes import (
    CALLER_RESOLVERS,
    HTTP_RESOLVERS,
    VOCABULARY,
    AttributeBag,
    FindCaller,
    HeaderMap,
    IstioAttributes,
    Resolver,
    Value,
    message_value,
    whole_number,
)


@dataclass(slots=True)
class StreamSource:
    """What the resolvers are given.

    Attributes:
        headers: The request's headers as they are now.
        caller: Tells who asks.
        sent: The ``attributes`` of the messages that had any, the latest first.
        metadata: ``envoy.config.core.v3.Metadata`` of the first message.
    """

    headers: HeaderMap
    caller: FindCaller
    metadata: Any
    sent: list[Any] = field(default_factory=list)

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
    """The content length; what Envoy tells is how much of the body it has at that time."""
    length = whole_number(source.headers.first(b"content-length"))
    return _sent("request.size")(source) if length is None else length


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
