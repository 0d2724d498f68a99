"""The headers of an entry: fields of their own, and those that the proxy was told to log."""

from collections.abc import Mapping
from typing import Any, ClassVar

from envoy.config.core.v3 import base_pb2

from mixer.attributes import HeaderMap, Pair
from mixer.wire.twins import bytes_of

_METHODS = {
    number: name.encode()
    for name, number in base_pb2.RequestMethod.items()
    if number != base_pb2.METHOD_UNSPECIFIED
}
_METHOD, _STATUS = b":method", b":status"
_FIELDS = {
    b":path": "path",
    b":authority": "authority",
    b":scheme": "scheme",
    b"user-agent": "user_agent",
    b"referer": "referer",
    b"x-forwarded-for": "forwarded_for",
    b"x-request-id": "request_id",
    b"x-envoy-original-path": "original_path",
}


class LoggedHeaders:
    """Headers or trailers that the proxy was told to log, each with one value.

    Args:
        logged: By name.
        properties: What has others in fields of their own.

    Attributes:
        own: The names of those.
    """

    __slots__ = ("_logged", "_properties")
    own: ClassVar[tuple[bytes, ...]] = ()

    def __init__(self, logged: Mapping[str, str | bytes], properties: Any) -> None:
        self._logged = logged
        self._properties = properties

    def _field(self, _name: bytes) -> bytes | None:
        return None

    def first(self, name: bytes) -> bytes | None:
        """See `mixer.attributes.HeaderSource.first`."""
        own = self._field(name)
        if own is not None or not self._logged:
            return own
        logged = self._logged.get(name.decode("utf-8", "replace"))
        return None if logged is None else bytes_of(logged)

    def all(self, name: bytes) -> tuple[bytes, ...]:
        """See `mixer.attributes.HeaderSource.all`."""
        value = self.first(name)
        return () if value is None else (value,)

    def pairs(self) -> list[Pair]:
        """See `mixer.attributes.HeaderSource.pairs`."""
        found = {name: value for name in self.own if (value := self._field(name)) is not None}
        for key, logged in self._logged.items():
            found.setdefault(bytes_of(key).lower(), bytes_of(logged))
        return sorted(found.items(), key=lambda pair: not pair[0].startswith(b":"))

    def count(self) -> int:
        """See `mixer.attributes.HeaderSource.count`."""
        return len(self.pairs())


class _OfRequest(LoggedHeaders):
    __slots__ = ()
    own: ClassVar[tuple[bytes, ...]] = (_METHOD, *_FIELDS)

    def _field(self, name: bytes) -> bytes | None:
        field = _FIELDS.get(name)
        if field is not None:
            return bytes_of(getattr(self._properties, field)) or None
        return _METHODS.get(self._properties.request_method) if name == _METHOD else None


class _OfResponse(LoggedHeaders):
    __slots__ = ()
    own: ClassVar[tuple[bytes, ...]] = (_STATUS,)

    def _field(self, name: bytes) -> bytes | None:
        code = self._properties.response_code.value if name == _STATUS else 0
        return b"%d" % code if code else None


def request_headers(request: Any) -> HeaderMap:
    """Those of ``HTTPRequestProperties``."""
    return HeaderMap(_OfRequest(request.request_headers, request))


def response_headers(response: Any) -> HeaderMap | None:
    """Those of ``HTTPResponseProperties``; None where there was no response."""
    logged = response.response_headers
    if not response.response_code.value and not logged:
        return None
    return HeaderMap(_OfResponse(logged, response))


def response_trailers(response: Any) -> HeaderMap | None:
    """Those that were logged; None where there are none."""
    logged = response.response_trailers
    return HeaderMap(LoggedHeaders(logged, None)) if logged else None
