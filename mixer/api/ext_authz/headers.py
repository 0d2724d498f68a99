"""The request headers of a CheckRequest, read without copying them all."""

from typing import Any

from mixer.attributes import Pair

PARTIAL_BODY = "x-envoy-auth-partial-body"
"""Envoy adds it, for this service alone, to a request whose body it sent along, be it empty.

The request itself does not have it, so no module sees it.
"""

_PARTIAL = PARTIAL_BODY.encode()
_PSEUDO = {b":method": "method", b":path": "path", b":authority": "host", b":scheme": "scheme"}
_PSEUDO_FIELDS = [(name.decode(), field) for name, field in _PSEUDO.items()]


class MapHeaders:
    """Headers as Envoy sends them by default: a map, the values of one name joined.

    Args:
        http: ``envoy.service.auth.v3.AttributeContext.HttpRequest``.
    """

    __slots__ = ("_headers", "_http", "body_is_partial", "body_was_sent")

    def __init__(self, http: Any) -> None:
        self._http = http
        self._headers = http.headers
        partial = self._headers.get(PARTIAL_BODY)
        self.body_was_sent = partial is not None
        self.body_is_partial = "true" in (partial or "")

    def first(self, name: bytes) -> bytes | None:
        """See `mixer.attributes.HeaderSource.first`."""
        value = self._headers.get(name.decode("utf-8", "replace"))
        if value is None:
            return _from_field(self._http, name)
        return None if name == _PARTIAL else str(value).encode()

    def all(self, name: bytes) -> tuple[bytes, ...]:
        """See `mixer.attributes.HeaderSource.all`."""
        value = self.first(name)
        return () if value is None else (value,)

    def pairs(self) -> list[Pair]:
        """See `mixer.attributes.HeaderSource.pairs`."""
        return _whole(
            self._http, [(name.lower().encode(), v.encode()) for name, v in self._headers.items()]
        )

    def count(self) -> int:
        """See `mixer.attributes.HeaderSource.count`."""
        headers, http = self._headers, self._http
        found = len(headers) - (PARTIAL_BODY in headers)
        for name, field in _PSEUDO_FIELDS:
            if name not in headers and getattr(http, field):
                found += 1
        return found


class RawHeaders:
    """Headers as Envoy sends them with ``encode_raw_headers``: bytes, in order, with duplicates."""

    __slots__ = ("_first", "_pairs", "body_is_partial", "body_was_sent")

    def __init__(self, http: Any) -> None:
        sent = [
            (header.key.lower().encode(), header.raw_value or header.value.encode())
            for header in http.header_map.headers
        ]
        self._pairs = _whole(http, sent)
        self._first = dict(reversed(self._pairs))
        partial = [value for name, value in sent if name == _PARTIAL]
        self.body_was_sent = bool(partial)
        self.body_is_partial = b"true" in partial

    def first(self, name: bytes) -> bytes | None:
        """See `mixer.attributes.HeaderSource.first`."""
        return self._first.get(name)

    def all(self, name: bytes) -> tuple[bytes, ...]:
        """See `mixer.attributes.HeaderSource.all`."""
        return tuple(v for n, v in self._pairs if n == name)

    def pairs(self) -> list[Pair]:
        """See `mixer.attributes.HeaderSource.pairs`."""
        return list(self._pairs)

    def count(self) -> int:
        """See `mixer.attributes.HeaderSource.count`."""
        return len(self._pairs)


def _from_field(http: Any, name: bytes) -> bytes | None:
    field = _PSEUDO.get(name)
    if field is None:
        return None
    value = getattr(http, field) or (http.headers.get("host") if field == "host" else None)
    return value.encode() if value else None


def _whole(http: Any, sent: list[Pair]) -> list[Pair]:
    """Pseudo-headers first; those that the caller left out come from the request's own fields."""
    sent = [(b":authority" if name == b"host" else name, value) for name, value in sent]
    names = {name for name, _ in sent}
    added = [
        (name, value)
        for name in _PSEUDO
        if name not in names and (value := _from_field(http, name))
    ]
    own = (pair for pair in sent if pair[0] != _PARTIAL)
    return [*added, *sorted(own, key=lambda pair: not pair[0].startswith(b":"))]
