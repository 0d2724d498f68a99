"""The headers of a message, found in Istio's attributes."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from mixer.attributes import HeaderMap, Pair

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixer.api.mixer_v1.source import MixerSource

REQUEST_HEADERS = "request.headers"
RESPONSE_HEADERS = "response.headers"
_AUTHORITY, _HOST = ":authority", "host"

_OF_REQUESTS = MappingProxyType(
    {
        ":method": "request.method",
        ":path": "request.path",
        _AUTHORITY: "request.host",
        ":scheme": "request.scheme",
    }
)
_OF_RESPONSES = MappingProxyType({":status": "response.code"})
_UNTOLD = (None, "")
"""Proxies send an empty path or host for a request without."""


class AttributeHeaders:
    """Headers as a proxy tells them: a map of texts, and attributes of their own.

    Args:
        source: The attributes.
        name: Of the map.
        pseudo: The attribute that a pseudo header is found in where the map lacks it.
    """

    __slots__ = ("_name", "_pseudo", "_source")

    def __init__(self, source: MixerSource, name: str, pseudo: Mapping[str, str]) -> None:
        self._source = source
        self._name = name
        self._pseudo = pseudo

    def first(self, name: bytes) -> bytes | None:
        """See `mixer.attributes.HeaderSource.first`."""
        key = name.decode(errors="surrogateescape")
        texts = self._source.string_map(self._name)
        text = texts.get(key)
        if text is None and key in self._pseudo:
            text = self._of_attribute(key, texts)
        return None if text is None else text.encode(errors="surrogateescape")

    def _of_attribute(self, key: str, texts: Mapping[str, str]) -> str | None:
        text = texts.get(_HOST) if key == _AUTHORITY else None
        if text is None:
            value = self._source.get(self._pseudo[key])
            text = None if value in _UNTOLD else str(value)
        return text

    def all(self, name: bytes) -> tuple[bytes, ...]:
        """See `mixer.attributes.HeaderSource.all`."""
        value = self.first(name)
        return () if value is None else (value,)

    def pairs(self) -> list[Pair]:
        """See `mixer.attributes.HeaderSource.pairs`."""
        told = dict(self._source.string_map(self._name).items())
        pseudo_headers = ((key, self._pseudo_header(key, told)) for key in self._pseudo)
        found = {key: text for key, text in pseudo_headers if text is not None}
        if _AUTHORITY in found:
            told.pop(_HOST, None)
        pseudo = {key: text for key, text in told.items() if key.startswith(":")}
        every = found | pseudo | told
        return [(_bytes(key).lower(), _bytes(text)) for key, text in every.items()]

    def _pseudo_header(self, key: str, told: Mapping[str, str]) -> str | None:
        text = told.get(key)
        return self._of_attribute(key, told) if text is None else text

    def count(self) -> int:
        """See `mixer.attributes.HeaderSource.count`.

        No look-up is noted: every module is told this number, be it of interest to it or not, and
        callers could keep no answer at all.
        """
        told = self._source.untraced(self._name)
        texts = told if isinstance(told, dict) else {}
        absent = (
            attribute
            for key, attribute in self._pseudo.items()
            if key not in texts and not (key == _AUTHORITY and _HOST in texts)
        )
        untold = (self._source.untraced(attribute) in _UNTOLD for attribute in absent)
        return len(texts) + sum(not one for one in untold)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def request_headers(source: MixerSource) -> HeaderMap:
    """Those of the request."""
    return HeaderMap(AttributeHeaders(source, REQUEST_HEADERS, _OF_REQUESTS))


def response_headers(source: MixerSource) -> HeaderMap:
    """Those of the response."""
    return HeaderMap(AttributeHeaders(source, RESPONSE_HEADERS, _OF_RESPONSES))
