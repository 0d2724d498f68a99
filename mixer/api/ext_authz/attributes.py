"""What a CheckRequest tells, as attributes.

Source: envoy.service.auth.v3.AttributeContext. An attribute that the message has no field for can
be given by the proxy's own configuration: a context extension under its name, such as
``xds.route_name``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mixer.api.configured import configured
from mixer.api.envoy_address import address_of, port_of
from mixer.api.ext_authz.certificate import Certificate, read_certificate
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
    message_value,
    whole_number,
)

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class CheckSource:
    """What the resolvers are given.

    Attributes:
        context: ``AttributeContext``.
        headers: The request's headers as they are now.
        caller: Tells who asks.
    """

    context: Any
    headers: HeaderMap
    caller: FindCaller

    @property
    def http(self) -> Any:
        """``AttributeContext.HttpRequest``."""
        return self.context.request.http


def _time(source: CheckSource) -> Value | None:
    if not source.context.request.HasField("time"):
        return None
    time = source.context.request.time
    return Timestamp(time.seconds * _NS + time.nanos)


def _size(source: CheckSource) -> Value | None:
    """The content length; Envoy's own field counts only the bytes that it sent along."""
    length = whole_number(source.headers.first(b"content-length"))
    if length is not None:
        return length
    return int(source.http.size) if source.http.size > 0 else None


def _address(peer: str) -> Resolver:
    return lambda source: address_of(getattr(source.context, peer).address)


def _port(peer: str) -> Resolver:
    return lambda source: port_of(getattr(source.context, peer).address)


def _peer(peer: str, field: str) -> Resolver:
    return lambda source: getattr(getattr(source.context, peer), field) or None


def _labels(peer: str) -> Resolver:
    return lambda source: dict(getattr(source.context, peer).labels)


def _uri_san(peer: str) -> Resolver:
    """Envoy takes the first URI SAN as the principal, and something else only without one."""

    def resolve(source: CheckSource) -> Value | None:
        principal = str(getattr(source.context, peer).principal)
        return principal if "://" in principal else None

    return resolve


def _mtls(source: CheckSource) -> bool:
    return bool(source.context.source.certificate or source.context.source.principal)


def _certificate(source: CheckSource) -> Certificate | None:
    return read_certificate(source.context.source.certificate)


def _of_certificate(field: Callable[[Certificate], Value | None]) -> Resolver:
    def resolve(source: CheckSource) -> Value | None:
        certificate = _certificate(source)
        return None if certificate is None else field(certificate)

    return resolve


def _uri_san_of_peer(source: CheckSource) -> Value | None:
    certificate = _certificate(source)
    found = None if certificate is None else certificate.uri_san
    return _uri_san("source")(source) if found is None else found


def _metadata(source: CheckSource) -> Value | None:
    return message_value(source.context.metadata_context)


def _route_metadata(source: CheckSource) -> Value | None:
    if not source.context.HasField("route_metadata_context"):
        return None
    return message_value(source.context.route_metadata_context)


def _by_istio_names(source: CheckSource) -> Value | None:
    return IstioAttributes(AttributeBag(RESOLVERS, source).get)


def _total_size(source: CheckSource) -> int:
    """The headers, and the part of the body that was sent along."""
    return source.headers.byte_size() + len(source.http.raw_body or source.http.body.encode())


_FROM_MESSAGE: dict[str, Resolver] = {
    **HTTP_RESOLVERS,
    **CALLER_RESOLVERS,
    "request.protocol": lambda s: str(s.http.protocol) or None,
    "request.time": _time,
    "request.size": _size,
    "request.total_size": _total_size,
    "source.address": _address("source"),
    "source.port": _port("source"),
    "source.principal": _peer("source", "principal"),
    "source.service": _peer("source", "service"),
    "source.certificate": _peer("source", "certificate"),
    "source.labels": _labels("source"),
    "destination.address": _address("destination"),
    "destination.port": _port("destination"),
    "destination.principal": _peer("destination", "principal"),
    "destination.service": _peer("destination", "service"),
    "destination.labels": _labels("destination"),
    "connection.mtls": _mtls,
    "connection.requested_server_name": lambda s: str(s.context.tls_session.sni),
    "connection.uri_san_peer_certificate": _uri_san_of_peer,
    "connection.dns_san_peer_certificate": _of_certificate(lambda c: c.dns_san),
    "connection.subject_peer_certificate": _of_certificate(lambda c: c.subject),
    "connection.uri_san_local_certificate": _uri_san("destination"),
    "connection.sha256_peer_certificate_digest": _of_certificate(lambda c: c.sha256),
    "metadata": _metadata,
    "xds.route_metadata": _route_metadata,
    "context_extensions": lambda s: dict(s.context.context_extensions),
    "mixer.attribute": _by_istio_names,
}

RESOLVERS: Mapping[str, Resolver] = MappingProxyType(
    _FROM_MESSAGE | configured(lambda source: source.context.context_extensions, _FROM_MESSAGE)
)
"""How to compute each attribute from a `CheckSource`."""


def _connection_by_istio_names(source: CheckSource) -> Value | None:
    return IstioAttributes(AttributeBag(CONNECTION_RESOLVERS, source).get)


CONNECTION_RESOLVERS: Mapping[str, Resolver] = MappingProxyType(
    {name: one for name, one in RESOLVERS.items() if not name.startswith(("request.", "response."))}
    | {"mixer.attribute": _connection_by_istio_names}
)
"""The same where there is no HTTP request."""
