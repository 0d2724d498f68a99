"""What a request tells, as attributes under Envoy's names."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mixer.attributes import (
    CALLER_RESOLVERS,
    HTTP_RESOLVERS,
    NOBODY,
    AttributeBag,
    FindCaller,
    HeaderMap,
    IstioAttributes,
    Resolver,
    Value,
    whole_number,
)
from mixer.middleware import Incoming, Peer


@dataclass(frozen=True, slots=True)
class EmbeddedSource:
    """What the resolvers are given.

    Attributes:
        incoming: The request as it came.
        headers: Its headers as they are now.
        caller: Nobody asks: this process does.
    """

    incoming: Incoming
    headers: HeaderMap
    caller: FindCaller = lambda: NOBODY


def _size(source: EmbeddedSource) -> Value | None:
    return whole_number(source.headers.first(b"content-length"))


def _address(peer: Peer | None) -> Value | None:
    if peer is None:
        return None
    host = f"[{peer.host}]" if ":" in peer.host else peer.host
    return f"{host}:{peer.port}"


def _uri_san(source: EmbeddedSource) -> Value | None:
    principal = source.incoming.principal
    return principal if principal is not None and "://" in principal else None


def _port(peer: Peer | None) -> Value | None:
    return None if peer is None else peer.port


def _istio(source: EmbeddedSource) -> Value | None:
    return IstioAttributes(AttributeBag(RESOLVERS, source).get)


RESOLVERS: Mapping[str, Resolver] = MappingProxyType(
    {
        **HTTP_RESOLVERS,
        **CALLER_RESOLVERS,
        "connection.mtls": lambda s: s.incoming.mtls,
        "connection.uri_san_peer_certificate": _uri_san,
        "destination.address": lambda s: _address(s.incoming.destination),
        "destination.labels": lambda s: dict(s.incoming.workload.labels),
        "destination.port": lambda s: _port(s.incoming.destination),
        "destination.service": lambda s: s.incoming.workload.service or None,
        "mixer.attribute": _istio,
        "mixer.operation": lambda _: "check",
        "request.protocol": lambda s: s.incoming.protocol,
        "request.size": _size,
        "request.time": lambda s: s.incoming.time,
        "source.address": lambda s: _address(s.incoming.source),
        "source.port": lambda s: _port(s.incoming.source),
        "source.principal": lambda s: s.incoming.principal,
        "xds.listener_direction": lambda _: _INBOUND,
    }
)
"""How to compute each attribute from an `EmbeddedSource`."""

_INBOUND = 1
