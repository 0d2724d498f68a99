"""The HTTP request that an API gateway asks about.

Gateways tell a request as a resource of type ``route``: the id is its route, the properties have
its ``uri``, or ``path``, ``hostname`` and ``schema``; the action is its method. These become the
headers that any adapter reads, so that one which decides about HTTP requests decides about these.
The property ``headers`` is this project's own.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mixer.api.authzen.errors import MalformedError
from mixer.api.authzen.evaluation import Evaluation
from mixer.api.safe_headers import is_safe
from mixer.attributes import Pair

ROUTE = "route"
"""The type of a resource that is an HTTP request."""

_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")
_URI = re.compile(r"(?:(https?)://([A-Za-z0-9\-._~%\[\]:]+))?(/[!-~]*)?")
_PATH = re.compile(r"/[!-~]*")
_HOST = re.compile(r"[A-Za-z0-9\-._~%\[\]:]+")
_SCHEMES = frozenset({"http", "https"})
_OF_HTTP = frozenset({b"host", b"connection", b"transfer-encoding", b"content-length"})
_MOST_HEADERS = 256


def headers_of(evaluation: Evaluation) -> list[Pair]:
    """The headers of the request that is asked about; none where it is no HTTP request.

    Raises:
        MalformedError: A part of it cannot be one of an HTTP request.
    """
    if evaluation.resource["type"] != ROUTE:
        return []
    properties = evaluation.resource["properties"]
    scheme, authority, path = _target(evaluation.resource["id"], properties)
    method = evaluation.action["name"]
    if not _METHOD.fullmatch(method):
        raise MalformedError("action.name must be a method of HTTP")
    told = (
        (b":method", method),
        (b":scheme", scheme),
        (b":authority", authority),
        (b":path", path),
    )
    pseudo = [(name, text.encode()) for name, text in told if text]
    return [*pseudo, *_headers(properties.get("headers", {}))]


def _target(route: str, properties: Mapping[str, Any]) -> tuple[str, str, str]:
    """Scheme, authority and path; empty where they are not told."""
    uri = _text(properties, "uri")
    if uri:
        match = _URI.fullmatch(uri)
        if match is None or "#" in uri or uri.startswith("//"):
            raise MalformedError("resource.properties.uri must be an http URL or a path")
        return match[1] or "", match[2] or "", match[3] or "/"
    path = _text(properties, "path") or route
    if not _PATH.fullmatch(path) or "#" in path:
        raise MalformedError("resource.properties.path, or the id, must be a path")
    host = _text(properties, "hostname")
    if host and not _HOST.fullmatch(host):
        raise MalformedError("resource.properties.hostname must be a host")
    scheme = _text(properties, "schema")
    if scheme and scheme not in _SCHEMES:
        raise MalformedError("resource.properties.schema must be http or https")
    return scheme, host, path


def _text(properties: Mapping[str, Any], name: str) -> str:
    text = properties.get(name, "")
    if not isinstance(text, str):
        raise MalformedError(f"resource.properties.{name} must be a string")
    return text


def _headers(told: Any) -> Iterator[Pair]:
    if not isinstance(told, dict) or len(told) > _MOST_HEADERS:
        where = "resource.properties.headers"
        raise MalformedError(f"{where} must be an object of at most {_MOST_HEADERS} headers")
    for name, value in told.items():
        values = value if isinstance(value, list) else [value]
        yield from (_header(name, one) for one in values)


def _header(name: str, value: Any) -> Pair:
    pair = name.lower().encode(), value.encode() if isinstance(value, str) else b"\n"
    if not is_safe(*pair) or name.startswith(":") or pair[0] in _OF_HTTP:
        raise MalformedError(f"resource.properties.headers: {name[:64]!a} is no header to tell")
    return pair
