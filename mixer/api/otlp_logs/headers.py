"""The headers of a record, found in its attributes.

``http.request.header.x-user`` is a header by OpenTelemetry's semantic conventions, and a key of a
map ``request.headers`` one by Envoy's names; others are attributes of their own.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from mixer.api.otlp_logs.source import LogSource
from mixer.attributes import HeaderMap, Kind, Pair

_DEFAULT_PORTS = {"http": 80, "https": 443}

Find = Callable[[LogSource], str | None]


def _texts(*keys: str) -> Find:
    return lambda source: source.text(*keys)


def _full_url(source: LogSource) -> str | None:
    return source.text("url.full", "http.url")


def _path(source: LogSource) -> str | None:
    told = source.text("request.path", "http.target")
    if told is not None:
        return told
    path = source.text("request.url_path", "url.path")
    if path is not None:
        query = source.text("request.query", "url.query")
        return f"{path}?{query}" if query else path
    url = _full_url(source)
    return None if url is None else _path_of(url)


def _path_of(url: str) -> str | None:
    try:
        return urlsplit(url)._replace(scheme="", netloc="").geturl() or "/"
    except ValueError:
        return None


def _authority(source: LogSource) -> str | None:
    told = source.text("request.host", "http.host")
    if told is not None:
        return told
    host, port = source.text("server.address"), source.number("server.port")
    if host is not None:
        is_default = port in (None, _DEFAULT_PORTS.get(_scheme(source) or ""))
        return host if is_default else f"{host}:{port}"
    url = _full_url(source)
    try:
        return urlsplit(url or "").netloc.rpartition("@")[2] or None
    except ValueError:
        return None


_scheme = _texts("request.scheme", "url.scheme", "http.scheme")
_method = _texts("request.method", "http.request.method", "http.method")


def _status(source: LogSource) -> str | None:
    code = source.number("response.code", "http.response.status_code", "http.status_code")
    return None if not code else str(code)


_OF_REQUEST: Mapping[str, Find] = MappingProxyType(
    {
        ":method": _method,
        ":path": _path,
        ":authority": _authority,
        ":scheme": _scheme,
        "user-agent": _texts("request.useragent", "user_agent.original", "http.user_agent"),
        "referer": _texts("request.referer"),
        "x-request-id": _texts("request.id"),
    }
)
_OF_RESPONSE: Mapping[str, Find] = MappingProxyType({":status": _status})
_NONE: Mapping[str, Find] = MappingProxyType({})


class AttributeHeaders:
    """Headers that are attributes.

    Args:
        source: The record.
        prefix: Of those that are headers by OpenTelemetry's conventions; empty where there are
            none.
        name: Of the map that has them by Envoy's names.
        own: How to find those that are attributes of their own.
    """

    __slots__ = ("_name", "_own", "_prefix", "_source")

    def __init__(self, source: LogSource, prefix: str, name: str, own: Mapping[str, Find]) -> None:
        self._source = source
        self._prefix = prefix
        self._name = name
        self._own = own

    def first(self, name: bytes) -> bytes | None:
        """See `mixer.attributes.HeaderSource.first`."""
        return next(iter(self.all(name)), None)

    def all(self, name: bytes) -> tuple[bytes, ...]:
        """See `mixer.attributes.HeaderSource.all`."""
        return tuple(_bytes(text) for text in self._texts(name.decode(errors="surrogateescape")))

    def _texts(self, name: str) -> tuple[str, ...]:
        find = self._own.get(name)
        own = None if find is None else find(self._source)
        if own is not None:
            return (own,)
        told = self._source.all(f"{self._prefix}{name}") if self._prefix else ()
        text = self._map().get(name)
        return told if told or not isinstance(text, str) else (text,)

    def _map(self) -> Mapping[str, object]:
        found = self._source.get(Kind.MAP, self._name)
        return found if isinstance(found, Mapping) else {}

    def pairs(self) -> list[Pair]:
        """See `mixer.attributes.HeaderSource.pairs`."""
        names = dict.fromkeys(self._names())
        return [(_bytes(name), _bytes(text)) for name in names for text in self._texts(name)]

    def _names(self) -> Iterator[str]:
        yield from self._own
        size = len(self._prefix)
        if size:
            yield from (key[size:] for key in self._source.told if key.startswith(self._prefix))
        yield from self._map()

    def count(self) -> int:
        """See `mixer.attributes.HeaderSource.count`."""
        return len(self.pairs())


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def request_headers(source: LogSource) -> HeaderMap:
    """Those of the request."""
    prefix, name = "http.request.header.", "request.headers"
    return HeaderMap(AttributeHeaders(source, prefix, name, _OF_REQUEST))


def response_headers(source: LogSource) -> HeaderMap:
    """Those of the response."""
    prefix, name = "http.response.header.", "response.headers"
    return HeaderMap(AttributeHeaders(source, prefix, name, _OF_RESPONSE))


def response_trailers(source: LogSource) -> HeaderMap:
    """Those of the response, which have only Envoy's name."""
    return HeaderMap(AttributeHeaders(source, "", "response.trailers", _NONE))
