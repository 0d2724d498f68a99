"""What a proxy's call tells of its client's request, as attributes."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mixer.api.forward_auth.original import Original
from mixer.attributes import (
    CALLER_RESOLVERS,
    HTTP_RESOLVERS,
    AttributeBag,
    FindCaller,
    HeaderMap,
    IstioAttributes,
    Resolver,
    Timestamp,
    Value,
    whole_number,
)


@dataclass(frozen=True, slots=True)
class ForwardedSource:
    """What the resolvers are given.

    Attributes:
        original: The client's request.
        headers: Its headers as they are now.
        caller: Tells which proxy asks.
        time_ns: When it asked, in nanoseconds since the Unix epoch.
        body: Of the client's request, as far as the proxy sent it.
    """

    original: Original
    headers: HeaderMap
    caller: FindCaller
    body: bytes = b""
    time_ns: int = field(default_factory=time.time_ns)


def _address(source: ForwardedSource) -> Value | None:
    """With port 0 where the proxy tells none: Envoy's attribute always has one."""
    host = source.original.address
    if host is None:
        return None
    return f"[{host}]:{_port_or_0(source)}" if ":" in host else f"{host}:{_port_or_0(source)}"


def _port_or_0(source: ForwardedSource) -> int:
    return source.original.port or 0


def _by_istio_names(source: ForwardedSource) -> Value | None:
    return IstioAttributes(AttributeBag(RESOLVERS, source).get)


RESOLVERS: Mapping[str, Resolver] = MappingProxyType(
    {
        **HTTP_RESOLVERS,
        **CALLER_RESOLVERS,
        "request.time": lambda s: Timestamp(s.time_ns),
        "request.size": lambda s: whole_number(s.headers.first(b"content-length")),
        "request.total_size": lambda s: s.headers.byte_size() + len(s.body),
        "source.address": _address,
        "source.port": lambda s: s.original.port,
        "mixer.attribute": _by_istio_names,
    }
)
"""How to compute each attribute from a `ForwardedSource`."""
