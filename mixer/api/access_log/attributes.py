"""What an entry of an access log tells, as attributes.

Source: envoy.data.accesslog.v3. An attribute that an entry does not have can be told by the proxy's
own configuration: a custom tag under its name, such as ``xds.virtual_host_name``.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mixer.api.access_log.common import COMMON_RESOLVERS
from mixer.api.access_log.log import log_of
from mixer.api.access_log.source import EntrySource
from mixer.api.access_log.tls import TLS_RESOLVERS
from mixer.api.texts import READABLE, from_text
from mixer.attributes import (
    CALLER_RESOLVERS,
    HTTP_RESOLVERS,
    VOCABULARY,
    AttributeBag,
    HeaderMap,
    IstioAttributes,
    Kind,
    Resolver,
    Value,
    grpc_status,
    whole_number,
)
from mixer.wire.twins import text_of

_PROTOCOLS = {1: "HTTP/1.0", 2: "HTTP/1.1", 3: "HTTP/2", 4: "HTTP/3"}
_NOT_OF_PROXIES = ("plugin_", "mixer.")
_OFTEN_LACKING = ("connection.", "upstream.", "xds.")
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

_OF_EVERY: Mapping[str, Resolver] = {
    **COMMON_RESOLVERS,
    **TLS_RESOLVERS,
    **CALLER_RESOLVERS,
    "mixer.operation": lambda _: "report",
    "mixer.log": log_of,
}


def _of_path(name: str) -> Resolver:
    """What the path tells; a request that Envoy could not read has none."""
    resolve = HTTP_RESOLVERS[name]
    return lambda source: resolve(source) if source.entry.request.path else None


def _size(source: EntrySource) -> int:
    """The content length where it was logged, as Envoy has it, else what came of the body."""
    length = whole_number(source.headers.first(b"content-length"))
    return int(source.entry.request.request_body_bytes) if length is None else length


def _total_size(source: EntrySource) -> int:
    request = source.entry.request
    return int(request.request_headers_bytes + request.request_body_bytes)


def _code(source: EntrySource) -> int | None:
    response = source.entry.response
    return int(response.response_code.value) if response.HasField("response_code") else None


def _grpc_status(source: EntrySource) -> int | None:
    return grpc_status(_code(source) or None, source.response_trailers, source.response_headers)


def _response_size(source: EntrySource) -> int:
    """Headers, body, and those trailers that were logged."""
    response, trailers = source.entry.response, source.response_trailers
    size = int(response.response_headers_bytes + response.response_body_bytes)
    return size if trailers is None else size + trailers.byte_size()


def _map_of(headers: HeaderMap | None) -> Mapping[str, Any]:
    return _NO_HEADERS if headers is None else headers


_OF_HTTP: Mapping[str, Resolver] = {
    **_OF_EVERY,
    **HTTP_RESOLVERS,
    **{name: _of_path(name) for name in ("request.path", "request.url_path", "request.query")},
    "request.headers_bytes": lambda s: int(s.entry.request.request_headers_bytes),
    "request.protocol": lambda s: _PROTOCOLS.get(s.entry.protocol_version),
    "request.size": _size,
    "request.total_size": _total_size,
    "response.code": _code,
    "response.code_details": lambda s: text_of(s.entry.response.response_code_details) or None,
    "response.grpc_status": _grpc_status,
    "response.headers": lambda s: _map_of(s.response_headers),
    "response.headers_bytes": lambda s: int(s.entry.response.response_headers_bytes),
    "response.size": lambda s: int(s.entry.response.response_body_bytes),
    "response.total_size": _response_size,
    "response.trailers": lambda s: _map_of(s.response_trailers),
}

_OF_TCP: Mapping[str, Resolver] = {
    **_OF_EVERY,
    "request.headers": lambda s: s.headers,
    "request.headers_bytes": lambda _: 0,
    "request.size": lambda s: int(s.entry.connection_properties.received_bytes),
    "request.total_size": lambda s: int(s.entry.connection_properties.received_bytes),
    "response.size": lambda s: int(s.entry.connection_properties.sent_bytes),
    "response.total_size": lambda s: int(s.entry.connection_properties.sent_bytes),
}


def _tag(name: str, kind: Kind) -> Resolver:
    """What the proxy was configured to tell; text that is not of the type is absent."""

    def resolve(source: EntrySource) -> Value | None:
        text = source.common.custom_tags.get(name)
        return from_text(kind, text_of(text)) if text else None

    return resolve


def _or(resolve: Resolver, tag: Resolver) -> Resolver:
    """What an entry may lack, of a connection that was never made, or of a route."""

    def resolve_either(source: EntrySource) -> Value | None:
        told = resolve(source)
        return tag(source) if told is None else told

    return resolve_either


_TAGS: Mapping[str, Resolver] = {
    name: _tag(name, kind)
    for name, kind in VOCABULARY.items()
    if kind in READABLE and not name.startswith(_NOT_OF_PROXIES)
}


def _with_tags(resolvers: Mapping[str, Resolver]) -> Mapping[str, Resolver]:
    found: dict[str, Resolver] = {**_TAGS, **resolvers}
    for name in resolvers.keys() & _TAGS.keys():
        if name.startswith(_OFTEN_LACKING):
            found[name] = _or(resolvers[name], _TAGS[name])
    found["mixer.attribute"] = lambda source: IstioAttributes(AttributeBag(found, source).get)
    return MappingProxyType(found)


HTTP_ENTRY_RESOLVERS = _with_tags(_OF_HTTP)
"""How to compute each attribute from an `EntrySource` of HTTP."""

TCP_ENTRY_RESOLVERS = _with_tags(_OF_TCP)
"""The same for TCP: nothing of HTTP."""
