"""The headers of a message, found in Istio's attributes."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from mixer.attributes import HeaderMap, Pair, Value

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
_NONE: Mapping[str, list[str]] = MappingProxyType({})
_UNTOLD = (None, "")
"""Proxies send an empty path or host for a request without."""


class AttributeHeaders:
    """Headers as a proxy tells them: a map of texts, and attributes of their own.

    Proxies write names in lower case. Others may not, and their headers are found nevertheless:
    what is forbidden in one spelling is in any.

    Args:
        source: The attributes.
        name: Of the map.
        pseudo: The attribute that a pseudo header is found in where the map lacks it.
    """

    __slots__ = ("_name", "_pseudo", "_source", "_spellings")

    def __init__(self, source: MixerSource, name: str, pseudo: Mapping[str, str]) -> None:
        self._source = source
        self._name = name
        self._pseudo = pseudo
        self._spellings: Mapping[str, list[str]] | None = None

    def first(self, name: bytes) -> bytes | None:
        """See `mixer.attributes.HeaderSource.first`."""
        texts = self._source.string_map(self._name)
        found = self._found(name.decode(errors="surrogateescape"), texts)
        return _bytes(found[0]) if found else None

    def all(self, name: bytes) -> tuple[bytes, ...]:
        """See `mixer.attributes.HeaderSource.all`."""
        texts = self._source.string_map(self._name)
        found = self._found(name.decode(errors="surrogateescape"), texts)
        return tuple(_bytes(text) for text in found)

    def _found(self, key: str, texts: Mapping[str, str]) -> list[str]:
        found = self._told(key, texts)
        if found or key not in self._pseudo:
            return found
        hosts = self._told(_HOST, texts) if key == _AUTHORITY else []
        if hosts:
            return hosts
        value = self._source.get(self._pseudo[key])
        return [] if value in _UNTOLD else [str(value)]

    def _told(self, key: str, texts: Mapping[str, str]) -> list[str]:
        """What the map has under a name in lower case, and then under its other spellings."""
        text = texts.get(key)
        found = [] if text is None else [text]
        spellings = self._spellings
        if spellings is None:
            spellings = self._spellings = _other_spellings(self._source.untraced(self._name))
        return [*found, *(texts[k] for k in spellings.get(key, ()))] if spellings else found

    def pairs(self) -> list[Pair]:
        """See `mixer.attributes.HeaderSource.pairs`."""
        texts = dict(self._source.string_map(self._name).items())
        pseudo = [
            (_bytes(key), _bytes(text)) for key in self._pseudo for text in self._found(key, texts)
        ]
        taken = {name for name, _ in pseudo}
        if _AUTHORITY.encode() in taken:
            taken.add(_HOST.encode())
        told = [(_lower(key), key, _bytes(text)) for key, text in texts.items()]
        told.sort(key=lambda one: (not one[0].startswith(b":"), one[0] != _bytes(one[1])))
        return pseudo + [(name, text) for name, _, text in told if name not in taken]

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
            if not (self._told(key, texts) or (key == _AUTHORITY and self._told(_HOST, texts)))
        )
        untold = (self._source.untraced(attribute) in _UNTOLD for attribute in absent)
        return len(texts) + sum(not one for one in untold)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _lower(key: str) -> bytes:
    return _bytes(key).lower()


def _other_spellings(told: Value | None) -> Mapping[str, list[str]]:
    """The keys of a map that are not in lower case, by what they are in it."""
    keys = told if isinstance(told, dict) else {}
    names = "".join(keys)
    if names == names.lower():
        return _NONE
    found: dict[str, list[str]] = {}
    for key in keys:
        name = _lower(key).decode(errors="surrogateescape")
        if name != key:
            found.setdefault(name, []).append(key)
    return found


def request_headers(source: MixerSource) -> HeaderMap:
    """Those of the request."""
    return HeaderMap(AttributeHeaders(source, REQUEST_HEADERS, _OF_REQUESTS))


def response_headers(source: MixerSource) -> HeaderMap:
    """Those of the response."""
    return HeaderMap(AttributeHeaders(source, RESPONSE_HEADERS, _OF_RESPONSES))
