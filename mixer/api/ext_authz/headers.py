"""The request headers of a CheckRequest, read without copying them all."""

from mixer.attributes import Pair

_PSEUDO = {b":method": "method", b":path": "path", b":authority": "host", b":scheme": "scheme"}


class MapHeaders:
    """Headers as Envoy sends them by default: a map, the values of one name joined.

    Args:
        http: ``envoy.service.auth.v3.AttributeContext.HttpRequest``.
    """

    __slots__ = ("_headers", "_http")

    def __init__(self, http: object) -> None:
        self._http = http
        self._headers = http.headers  # type: ignore[attr-defined]

    def first(self, name: bytes) -> bytes | None:
        """See `mixer.attributes.HeaderSource.first`."""
        value = self._headers.get(name.decode("utf-8", "replace"))
        if value is not None:
            return str(value).encode()
        return _from_field(self._http, name)

    def pairs(self) -> list[Pair]:
        """See `mixer.attributes.HeaderSource.pairs`."""
        sent = [(name.lower().encode(), value.encode()) for name, value in self._headers.items()]
        return _pseudo_first(self._http, sent)

    def count(self) -> int:
        """See `mixer.attributes.HeaderSource.count`."""
        return len(self._headers) + sum(
            name.decode() not in self._headers and bool(getattr(self._http, field))
            for name, field in _PSEUDO.items()
        )


class RawHeaders:
    """Headers as Envoy sends them with ``encode_raw_headers``: bytes, in order, with duplicates."""

    __slots__ = ("_first", "_pairs")

    def __init__(self, http: object) -> None:
        sent = [
            (header.key.lower().encode(), header.raw_value or header.value.encode())
            for header in http.header_map.headers  # type: ignore[attr-defined]
        ]
        self._pairs = _pseudo_first(http, sent)
        self._first = dict(reversed(self._pairs))

    def first(self, name: bytes) -> bytes | None:
        """See `mixer.attributes.HeaderSource.first`."""
        return self._first.get(name)

    def pairs(self) -> list[Pair]:
        """See `mixer.attributes.HeaderSource.pairs`."""
        return list(self._pairs)

    def count(self) -> int:
        """See `mixer.attributes.HeaderSource.count`."""
        return len(self._pairs)


def _from_field(http: object, name: bytes) -> bytes | None:
    field = _PSEUDO.get(name)
    return (getattr(http, field).encode() or None) if field else None


def _pseudo_first(http: object, sent: list[Pair]) -> list[Pair]:
    """Pseudo-headers first; those that the caller left out come from the request's own fields."""
    names = {name for name, _ in sent}
    added = [
        (name, value)
        for name in _PSEUDO
        if name not in names and (value := _from_field(http, name))
    ]
    return [*added, *sorted(sent, key=lambda pair: not pair[0].startswith(b":"))]
