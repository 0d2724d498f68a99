"""Istio's attributes in terms of Envoy's, for proxies that know only the latter."""

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from urllib.parse import parse_qsl

from mixer.attributes.headers import HeaderMap
from mixer.attributes.values import Duration, Timestamp, Value

_SPIFFE = "spiffe://"
_GRPC = "application/grpc"
_GRPC_TYPES = frozenset({_GRPC, f"{_GRPC}+proto", f"{_GRPC}+json"})
_DIRECTIONS = {1: "inbound", 2: "outbound"}
_MOST_PARAMETERS = 1000

Find = Callable[[str], Value | None]
"""Finds an attribute by Envoy's name; None where it is absent."""

Named = Callable[[Find], Value | None]


def _same(name: str) -> Named:
    return lambda find: find(name)


def _if(kind: type, name: str) -> Named:
    def read(find: Find) -> Value | None:
        value = find(name)
        return value if isinstance(value, kind) else None

    return read


def _ip(name: str) -> Named:
    """The bytes of an address that is given as ``host:port``."""

    def read(find: Find) -> Value | None:
        host = str(find(name) or "").rpartition(":")[0].strip("[]")
        try:
            return ipaddress.ip_address(host).packed
        except ValueError:  # a path of a Unix socket
            return None

    return read


def _principal(name: str) -> Named:
    """Istio leaves out the scheme of a SPIFFE ID."""

    def read(find: Find) -> Value | None:
        value = find(name)
        return value.removeprefix(_SPIFFE) if isinstance(value, str) else None

    return read


def _headers(name: str) -> Named:
    def read(find: Find) -> Value | None:
        headers = find(name)
        return headers if isinstance(headers, HeaderMap) else None

    return read


def _protocol(find: Find) -> str:
    headers = find("request.headers")
    kind = headers.first(b"content-type") if isinstance(headers, HeaderMap) else None
    return "grpc" if kind is not None and kind.decode("latin-1") in _GRPC_TYPES else "http"


def _query_params(find: Find) -> Value | None:
    query = find("request.query")
    if not isinstance(query, str) or not query:
        return None
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        return None
    return dict(reversed(pairs)) or None


def _direction(find: Find) -> Value | None:
    direction = find("xds.listener_direction")
    return _DIRECTIONS.get(direction) if isinstance(direction, int) else None


def _grpc_status(find: Find) -> Value | None:
    status = find("response.grpc_status")
    return None if status is None else str(status)


def _id(find: Find) -> Value | None:
    number = find("connection.id")
    return None if number is None else str(number)


_SAME = (
    "connection.mtls", "connection.requested_server_name", "destination.labels",
    "destination.port", "request.host", "request.id", "request.method", "request.path",
    "request.referer", "request.scheme", "request.size", "request.total_size",
    "request.url_path", "request.useragent", "response.code", "response.size",
    "response.total_size", "source.labels",
)  # fmt: skip

ISTIO_FROM_ENVOY = MappingProxyType[str, Named](
    {
        **{name: _same(name) for name in _SAME},
        "connection.id": _id,
        "context.protocol": _protocol,
        "context.reporter.kind": _direction,
        "context.time": _if(Timestamp, "request.time"),
        "destination.ip": _ip("destination.address"),
        "destination.principal": _principal("destination.principal"),
        "destination.service.host": _same("destination.service"),
        "origin.ip": _ip("source.address"),
        "request.headers": _headers("request.headers"),
        "request.query_params": _query_params,
        "request.time": _if(Timestamp, "request.time"),
        "response.duration": _if(Duration, "request.duration"),
        "response.grpc_status": _grpc_status,
        "response.headers": _headers("response.headers"),
        "source.ip": _ip("source.address"),
        "source.principal": _principal("source.principal"),
    }
)
"""How to compute each attribute; those that are not here, no such proxy tells."""


class IstioAttributes(Mapping[str, Value]):
    """Istio's attributes, each computed when it is read.

    Args:
        find: Finds an attribute by Envoy's name.
    """

    __slots__ = ("_find",)

    def __init__(self, find: Find) -> None:
        self._find = find

    def __getitem__(self, name: str) -> Value:
        read = ISTIO_FROM_ENVOY.get(name)
        value = None if read is None else read(self._find)
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return (name for name in ISTIO_FROM_ENVOY if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
