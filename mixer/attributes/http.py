"""The attributes that follow from the headers of a request, whichever front end received them."""

from types import MappingProxyType
from typing import Protocol

from mixer.attributes.bag import Resolver
from mixer.attributes.headers import HeaderMap
from mixer.attributes.values import Value


class HasHeaders(Protocol):
    """What these resolvers are given."""

    @property
    def headers(self) -> HeaderMap:
        """The request's headers as they are now."""


def _header(name: bytes) -> Resolver:
    def resolve(source: HasHeaders) -> Value | None:
        value = source.headers.first(name)
        return None if value is None else value.decode(errors="surrogateescape")

    return resolve


def _path(source: HasHeaders) -> str:
    return (source.headers.first(b":path") or b"").decode(errors="surrogateescape")


HTTP_RESOLVERS = MappingProxyType[str, Resolver](
    {
        "request.path": _path,
        "request.url_path": lambda s: _path(s).partition("#")[0].partition("?")[0],
        "request.query": lambda s: _path(s).partition("#")[0].partition("?")[2],
        "request.host": _header(b":authority"),
        "request.scheme": _header(b":scheme"),
        "request.method": _header(b":method"),
        "request.referer": _header(b"referer"),
        "request.useragent": _header(b"user-agent"),
        "request.id": _header(b"x-request-id"),
        "request.headers": lambda s: s.headers,
        "request.headers_bytes": lambda s: s.headers.byte_size(),
    }
)
"""``request.*`` as far as the headers tell it."""
