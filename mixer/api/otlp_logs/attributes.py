"""What a log record tells, as attributes.

An attribute of the record under the name of an attribute here, such as ``upstream.address``, is
that one. Others are found by OpenTelemetry's semantic conventions.

Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans, and the older names that it
replaced.
"""

from collections.abc import Mapping
from types import MappingProxyType

from mixer.api.otlp_logs.log import log_of
from mixer.api.otlp_logs.source import LogSource
from mixer.api.response_flags import bits_of_text
from mixer.attributes import (
    CALLER_RESOLVERS,
    HTTP_RESOLVERS,
    VOCABULARY,
    AttributeBag,
    Duration,
    IstioAttributes,
    Kind,
    Resolver,
    Timestamp,
    Value,
    grpc_status,
)

_NS = 1_000_000_000
_LONGEST_S = (1 << 63) / _NS
_NOT_OF_SENDERS = ("plugin_", "mixer.")
_TLS_VERSION = "TLSv"

CONVENTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "request.size": ("http.request.body.size", "http.request_content_length"),
        "request.total_size": ("http.request.size",),
        "response.code": ("http.response.status_code", "http.status_code"),
        "response.size": ("http.response.body.size", "http.response_content_length"),
        "response.total_size": ("http.response.size",),
        "response.grpc_status": ("rpc.grpc.status_code",),
        "source.port": ("client.port", "network.peer.port"),
        "destination.port": ("network.local.port",),
        "connection.requested_server_name": ("tls.client.server_name",),
        "connection.subject_peer_certificate": ("tls.client.subject",),
        "connection.subject_local_certificate": ("tls.server.subject",),
    }
)
"""Attributes that are told as they are, by the names of OpenTelemetry, the first one first."""


def _convention(name: str) -> Resolver:
    kind, keys = VOCABULARY[name], CONVENTIONS[name]
    return lambda source: source.get(kind, *keys)


def _address(*hosts: tuple[str, str]) -> Resolver:
    """``host:port`` of the first that there is; 0 for a port that is not told."""

    def resolve(source: LogSource) -> Value | None:
        for host, port in hosts:
            address = source.text(host)
            if address is not None:
                shown = f"[{address}]" if ":" in address else address
                return f"{shown}:{source.number(port) or 0}"
        return None

    return resolve


def _protocol(source: LogSource) -> str | None:
    version = source.text("network.protocol.version", "http.flavor")
    if version is None:
        return None
    name = source.text("network.protocol.name") or "http"
    return f"{name.upper()}/{version}"


def _tls_version(source: LogSource) -> str | None:
    version = source.text("tls.protocol.version")
    return None if version is None else f"{_TLS_VERSION}{version.removeprefix(_TLS_VERSION)}"


def _digest(source: LogSource) -> str | None:
    digest = source.text("tls.client.hash.sha256")
    return None if digest is None else digest.lower()


def _time(source: LogSource) -> Value | None:
    record = source.record
    return Timestamp(record.time_unix_nano or record.observed_time_unix_nano) or None


def _duration(source: LogSource) -> Value | None:
    """The metric of this name has seconds, and so have logs that take over its value."""
    seconds = source.raw("http.server.request.duration")
    is_sound = isinstance(seconds, int | float) and 0 <= seconds < _LONGEST_S
    return Duration(round(seconds * _NS)) if is_sound else None


def _of_path(name: str) -> Resolver:
    """What the path tells; not every record is about a request."""
    resolve = HTTP_RESOLVERS[name]
    return lambda source: resolve(source) if source.headers.first(b":path") is not None else None


def _flags(source: LogSource) -> int | None:
    """As text they are names, unless they are a number."""
    names = source.text("response.flags")
    return None if names is None else bits_of_text(names)


def _grpc_status(source: LogSource) -> int | None:
    told = _convention("response.grpc_status")(source)
    if isinstance(told, int):
        return told
    code = source.number("response.code", *CONVENTIONS["response.code"])
    return grpc_status(code or None, source.response_trailers, source.response_headers)


_BY_CONVENTION: Mapping[str, Resolver] = {
    **HTTP_RESOLVERS,
    **{name: _of_path(name) for name in ("request.path", "request.url_path", "request.query")},
    **{name: _convention(name) for name in CONVENTIONS},
    "request.protocol": _protocol,
    "request.time": _time,
    "request.duration": _duration,
    "response.flags": _flags,
    "response.grpc_status": _grpc_status,
    "source.address": _address(
        ("client.address", "client.port"), ("network.peer.address", "network.peer.port")
    ),
    "destination.address": _address(("network.local.address", "network.local.port")),
    "connection.tls_version": _tls_version,
    "connection.sha256_peer_certificate_digest": _digest,
}

_HEADERS: Mapping[str, Resolver] = {
    "request.headers": lambda source: source.headers,
    "response.headers": lambda source: source.response_headers,
    "response.trailers": lambda source: source.response_trailers,
}
"""They are found by both kinds of names as well: see `mixer.api.otlp_logs.headers`."""


def _named(name: str, kind: Kind) -> Resolver:
    """What the sender calls by this name, or else what the conventions have for it."""
    otherwise = _BY_CONVENTION.get(name)

    def resolve(source: LogSource) -> Value | None:
        told: Value | None = source.get(kind, name)
        return otherwise(source) if told is None and otherwise is not None else told

    return resolve


def _by_istio_names(source: LogSource) -> Value:
    return IstioAttributes(AttributeBag(RESOLVERS, source).get)


RESOLVERS: Mapping[str, Resolver] = MappingProxyType(
    {
        **{
            name: _named(name, kind)
            for name, kind in VOCABULARY.items()
            if not name.startswith(_NOT_OF_SENDERS)
        },
        **_HEADERS,
        **CALLER_RESOLVERS,
        "mixer.operation": lambda _: "report",
        "mixer.log": log_of,
        "mixer.attribute": _by_istio_names,
    }
)
"""How to compute each attribute from a `LogSource`."""
