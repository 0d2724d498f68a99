"""The attributes that follow from the headers of a request, whichever front end received them."""

import re
from types import MappingProxyType
from typing import Protocol

from mixer.attributes.bag import Resolver
from mixer.attributes.headers import HeaderMap
from mixer.attributes.values import Value

_PORT = re.compile(r":[0-9]*$")


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


def host_name(authority: str) -> str:
    """The host of an authority, however a client wrote it: in lower case, without a port.

    Neither of ``ACME.example.com``, ``acme.example.com:443`` and ``acme.example.com.`` is another
    host than ``acme.example.com`` to a proxy's routes.
    """
    host = _PORT.sub("", authority) if authority.count(":") == 1 or "]" in authority else authority
    return host.lower().rstrip(".")


def _host_name(source: HasHeaders) -> str | None:
    authority = source.headers.first(b":authority")
    return None if authority is None else host_name(authority.decode(errors="surrogateescape"))


def _path(source: HasHeaders) -> str:
    return (source.headers.first(b":path") or b"").decode(errors="surrogateescape")


HTTP_RESOLVERS = MappingProxyType[str, Resolver](
    {
        "request.path": _path,
        "request.url_path": lambda s: _path(s).partition("#")[0].partition("?")[0],
        "request.query": lambda s: _path(s).partition("#")[0].partition("?")[2],
        "request.host": _header(b":authority"),
        "mixer.host": _host_name,
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
