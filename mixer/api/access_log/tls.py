"""What an entry tells of the client's TLS, as attributes: ``TLSProperties``."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from mixer.api.access_log.source import EntrySource
from mixer.attributes import Resolver, Value
from mixer.wire.twins import text_of

_VERSIONS = {1: "TLSv1", 2: "TLSv1.1", 3: "TLSv1.2", 4: "TLSv1.3"}
_LOCAL, _PEER = "local_certificate_properties", "peer_certificate_properties"

Read = Callable[[EntrySource], Value | None]


def _subject(certificate: str) -> Read:
    """Empty, and not absent, where there is TLS and no certificate: as in Envoy."""

    def read(source: EntrySource) -> Value | None:
        tls = source.common.tls_properties
        return text_of(getattr(tls, certificate).subject) if tls.HasField(certificate) else None

    return read


def _alternative_name(certificate: str, kind: str) -> Read:
    return lambda source: _first_name(getattr(source.common.tls_properties, certificate), kind)


def _first_name(certificate: Any, kind: str) -> str | None:
    names = (text_of(getattr(name, kind)) for name in certificate.subject_alt_name)
    return next((name for name in names if name), None)


def _principal(certificate: str) -> Read:
    """As Envoy's external authorization has it: a URI, else a DNS name, else the subject."""

    def read(source: EntrySource) -> Value | None:
        found = getattr(source.common.tls_properties, certificate)
        name = _first_name(found, "uri") or _first_name(found, "dns")
        return name or text_of(found.subject) or None

    return read


def _mtls(source: EntrySource) -> bool:
    peer = source.common.tls_properties.peer_certificate_properties
    return bool(peer.subject or peer.subject_alt_name)


TLS_RESOLVERS = MappingProxyType[str, Resolver](
    {
        "connection.mtls": _mtls,
        "connection.requested_server_name": (
            lambda source: text_of(source.common.tls_properties.tls_sni_hostname)
        ),
        "connection.tls_version": (
            lambda source: _VERSIONS.get(source.common.tls_properties.tls_version)
        ),
        "connection.subject_local_certificate": _subject(_LOCAL),
        "connection.subject_peer_certificate": _subject(_PEER),
        "connection.uri_san_local_certificate": _alternative_name(_LOCAL, "uri"),
        "connection.uri_san_peer_certificate": _alternative_name(_PEER, "uri"),
        "connection.dns_san_local_certificate": _alternative_name(_LOCAL, "dns"),
        "connection.dns_san_peer_certificate": _alternative_name(_PEER, "dns"),
        "source.principal": _principal(_PEER),
        "destination.principal": _principal(_LOCAL),
    }
)
"""How to compute each attribute from an `EntrySource`."""
