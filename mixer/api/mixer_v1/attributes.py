"""Envoy's attributes in terms of Istio's: what modules read of a request that Mixer is told of."""

import ipaddress
from collections.abc import Callable
from types import MappingProxyType

from mixer.api.mixer_v1.headers import response_headers
from mixer.api.mixer_v1.source import MixerSource
from mixer.attributes import CALLER_RESOLVERS, HTTP_RESOLVERS, Resolver, Value, whole_number

_SPIFFE = "spiffe://"
_DIRECTIONS = {"inbound": 1, "outbound": 2}
_UNKNOWN_PORT = 0

Read = Callable[[MixerSource], Value | None]


def _same(name: str) -> Read:
    return lambda source: source.get(name)


def _first_of(*reads: Resolver) -> Read:
    def read(source: MixerSource) -> Value | None:
        for one in reads:  # a generator costs more than most reads
            value = one(source)
            if value is not None:
                return value
        return None

    return read


def _http(name: str, istio: str) -> Read:
    """What the headers tell or, if they do not, the attribute of its own."""
    return _first_of(HTTP_RESOLVERS[name], _same(istio))


def _of_path(name: str) -> Read:
    """What the path tells; the attributes of a TCP connection have none."""

    def read(source: MixerSource) -> Value | None:
        return HTTP_RESOLVERS[name](source) if source.headers.first(b":path") else None

    return read


def _text(name: str) -> Read:
    return lambda source: source.text(name) or None


def _principal(name: str) -> Read:
    """As Envoy tells it: a SPIFFE ID with its scheme. What is a plain name stays one."""

    def read(source: MixerSource) -> Value | None:
        principal = source.text(name) or None
        is_id = principal is not None and "/" in principal and "://" not in principal
        return f"{_SPIFFE}{principal}" if is_id else principal

    return read


def _address(port: str | None, *names: str) -> Read:
    """``host:port`` of the first attribute that there is; 0 for a port that is not told."""

    def read(source: MixerSource) -> Value | None:
        found = next((ip for name in names if (ip := source.get(name)) is not None), None)
        if not isinstance(found, bytes):
            return None
        number = None if port is None else source.get(port)
        return f"{_host(found)}:{number if isinstance(number, int) else _UNKNOWN_PORT}"

    return read


def _host(packed: bytes) -> str:
    address = ipaddress.ip_address(packed)
    if isinstance(address, ipaddress.IPv6Address):
        # Istio's proxies send every IPv4 address like this.
        return str(address.ipv4_mapped or f"[{address}]")
    return str(address)


def _size(source: MixerSource) -> Value | None:
    length = whole_number(source.headers.first(b"content-length"))
    return source.get("request.size") if length is None else length


def _uri_san(name: str) -> Read:
    """Istio leaves out the scheme of a SPIFFE ID."""

    def read(source: MixerSource) -> Value | None:
        principal = source.text(name)
        if not principal:
            return None
        return principal if "://" in principal else _SPIFFE + principal

    return read


def _number(name: str) -> Read:
    """A number that is told as text."""

    return lambda source: whole_number(source.text(name))


def _direction(source: MixerSource) -> Value | None:
    return _DIRECTIONS.get(source.text("context.reporter.kind") or "")


def _labels(name: str) -> Read:
    return lambda source: source.string_map(name)


def _response_headers(source: MixerSource) -> Value | None:
    return response_headers(source) if source.has("response.headers") else None


_SAME = (
    "connection.mtls", "connection.requested_server_name", "destination.port", "request.time",
    "request.total_size", "response.code", "response.size", "response.total_size",
)  # fmt: skip

RESOLVERS = MappingProxyType[str, Resolver](
    {
        **HTTP_RESOLVERS,
        **{name: _same(name) for name in _SAME},
        "connection.id": _number("connection.id"),
        "connection.uri_san_local_certificate": _uri_san("destination.principal"),
        "connection.uri_san_peer_certificate": _uri_san("source.principal"),
        "destination.address": _address("destination.port", "destination.ip"),
        "destination.labels": _labels("destination.labels"),
        "destination.principal": _principal("destination.principal"),
        "destination.service": _text("destination.service.host"),
        "request.duration": _same("response.duration"),
        "request.path": _of_path("request.path"),
        "request.query": _of_path("request.query"),
        "request.url_path": _first_of(_of_path("request.url_path"), _same("request.url_path")),
        "request.id": _http("request.id", "request.id"),
        "request.referer": _http("request.referer", "request.referer"),
        "request.size": _size,
        "request.useragent": _http("request.useragent", "request.useragent"),
        "response.grpc_status": _number("response.grpc_status"),
        "response.headers": _response_headers,
        "source.address": _address(None, "source.ip", "origin.ip"),
        "source.labels": _labels("source.labels"),
        "source.principal": _first_of(_principal("source.principal"), _principal("source.user")),
        "xds.listener_direction": _direction,
        "mixer.attribute": lambda source: source.all,
        **CALLER_RESOLVERS,
        "mixer.dedup_id": lambda source: source.dedup_id,
        "mixer.operation": lambda source: source.operation,
        "mixer.quota": lambda source: source.quota,
    }
)
"""How to compute each attribute from a `MixerSource`."""
