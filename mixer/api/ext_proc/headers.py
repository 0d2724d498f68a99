"""Headers as ext_proc sends them, decoded only when they are read."""

from typing import Any

from mixer.attributes import HeaderMap, Pair, canonical_name


class SentHeaders:
    """The source of a header map.

    Args:
        message: ``envoy.config.core.v3.HeaderMap``. Envoy 1.27 and later set ``raw_value``, others
            ``value``.
    """

    __slots__ = ("_first", "_headers", "_pairs")

    def __init__(self, message: Any) -> None:
        self._headers = message.headers
        self._pairs: list[Pair] | None = None
        self._first: dict[bytes, bytes] | None = None

    def _read(self) -> list[Pair]:
        if self._pairs is None:
            self._pairs = [
                (canonical_name(one.key.encode()), one.raw_value or one.value.encode())
                for one in self._headers
            ]
        return self._pairs

    def first(self, name: bytes) -> bytes | None:
        """See `mixer.attributes.HeaderSource.first`."""
        if self._first is None:
            self._first = dict(reversed(self._read()))
        return self._first.get(name)

    def all(self, name: bytes) -> tuple[bytes, ...]:
        """See `mixer.attributes.HeaderSource.all`."""
        return tuple(value for found, value in self._read() if found == name)

    def pairs(self) -> list[Pair]:
        """See `mixer.attributes.HeaderSource.pairs`."""
        return list(self._read())

    def count(self) -> int:
        """See `mixer.attributes.HeaderSource.count`."""
        return len(self._headers)


def header_map(message: Any) -> HeaderMap:
    """The header map of an ``envoy.config.core.v3.HeaderMap``."""
    return HeaderMap(SentHeaders(message))
