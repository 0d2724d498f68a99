"""What adapters made of a request's headers, as far as those that come after them look at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mixer.attributes import canonical_name
from mixer.engine.cache.reads import ABSENT, AttributeRead, HeaderRead, PresenceRead, find
from mixer.engine.story.story import Seen

if TYPE_CHECKING:
    from mixer.engine.cache.reads import Read
    from mixer.engine.request import Request

MAX_NAMES = 512
"""Headers of which it is known who changed them last."""

MAX_NAME_BYTES = 256
"""Of such a name; the rest of it is not looked at."""

MAX_VALUE = 1024
"""Characters or bytes that are kept of a value."""

_UNKNOWN = ""


class Changes:
    """Who changed what, and what a look at it gives now.

    Args:
        request: Whose headers they are.
    """

    __slots__ = ("_by", "_request")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._by: dict[bytes | None, str] = {}

    def made(self, name: bytes | None, by: str) -> None:
        """Note that an adapter changes a header; all of them if there is no name."""
        if name is None:
            self._by.clear()
            self._by[None] = by
            return
        key = _key(name)
        if key in self._by or len(self._by) < MAX_NAMES:
            self._by[key] = by
        else:
            self._by[None] = _UNKNOWN

    def undone(self, by: str) -> None:
        """An adapter failed: what it changed may be as it was, and who made it that is not kept."""
        self._by = {name: _UNKNOWN if one == by else one for name, one in self._by.items()}

    def seen(self, read: Read) -> Seen | None:
        """What a look gives now, where that is not what it would have given as the request came."""
        if isinstance(read, HeaderRead):
            return self._header(read.name)
        if isinstance(read, AttributeRead | PresenceRead):
            return self._attribute(read)
        return None

    def _header(self, name: bytes) -> Seen | None:
        headers = self._request.headers
        values = headers.all(name)
        if values == headers.original(name):
            return None
        return Seen(_kept(b",".join(values) if values else None), self._who(name))

    def _attribute(self, read: AttributeRead | PresenceRead) -> Seen | None:
        value = self._found(read)
        if isinstance(value, Mapping) or value == self._as_it_came(read):
            return None
        return Seen(_kept(value), self._who(_header_of(read)))

    def _found(self, read: AttributeRead | PresenceRead) -> object:
        found = find(self._request, read.name, read.keys)
        return None if found is ABSENT else found

    def _as_it_came(self, read: AttributeRead | PresenceRead) -> object:
        headers = self._request.headers
        changed = headers.save()
        headers.reset()
        try:
            return self._found(read)
        finally:
            headers.restore(changed)

    def _who(self, name: bytes | None) -> str:
        """The last that changed a header; of an attribute, the only one that changed any."""
        if name is None:
            adapters = set(self._by.values())
            return adapters.pop() if len(adapters) == 1 else _UNKNOWN
        everything = self._by.get(None, _UNKNOWN)
        return self._by.get(_key(name), everything)


def _key(name: bytes) -> bytes:
    return canonical_name(name[:MAX_NAME_BYTES])


def _header_of(read: AttributeRead | PresenceRead) -> bytes | None:
    if read.name == "request.headers" and read.keys and isinstance(read.keys[0], str):
        return read.keys[0].encode(errors="surrogateescape")
    return None


def _kept(value: object) -> object:
    return value[:MAX_VALUE] if isinstance(value, str | bytes) else value
