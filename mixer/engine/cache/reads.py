"""What a decision can follow from, each as something that can be looked up in another request.

All of them look at the request as it came in. What an adapter sees of a header that one before it
changed follows from that change and from the original values, and both are in the key: the change
as it follows from earlier reads, and the values since each change of a header counts as a read.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mixer.engine.cache.values import key_of_bytes, key_of_headers, key_of_value
from mixer.engine.request import Request


class Read(Protocol):
    """One look at a request; equal to another one that looks at the same."""

    @property
    def size(self) -> int:
        """Bytes of the names in it: modules may take them from requests."""

    def of(self, request: Request) -> Hashable:
        """What stands for the value in a request that no adapter has changed.

        Raises:
            UnkeyableError: Nothing can.
        """


@dataclass(frozen=True, slots=True)
class HeaderRead:
    """All values of one header, in order; `name` as the header map has it."""

    name: bytes

    @property
    def size(self) -> int:
        """See `Read`."""
        return len(self.name)

    def of(self, request: Request) -> Hashable:
        """See `Read`."""
        return key_of_headers(request.headers.original(self.name))


@dataclass(frozen=True, slots=True)
class HeadersRead:
    """Every header, in order."""

    size = 0

    def of(self, request: Request) -> Hashable:
        """See `Read`."""
        return key_of_bytes(repr(request.headers.pairs()).encode())


@dataclass(frozen=True, slots=True)
class HeaderCountRead:
    """How many headers there are: every module is told."""

    size = 0

    def of(self, request: Request) -> Hashable:
        """See `Read`."""
        return request.headers.count()


@dataclass(frozen=True, slots=True)
class BodyRead:
    """The body."""

    size = 0

    def of(self, request: Request) -> Hashable:
        """See `Read`."""
        return key_of_bytes(request.body or b"")


@dataclass(frozen=True, slots=True)
class BodySizeRead:
    """The size of the body: a module that is called for the body is told."""

    size = 0

    def of(self, request: Request) -> Hashable:
        """See `Read`."""
        return len(request.body or b"")


@dataclass(frozen=True, slots=True)
class AttributeRead:
    """An attribute, or what is found in it by going from key to key; None where it is absent."""

    name: str
    keys: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        """See `Read`."""
        return _size_of(self.name, self.keys)

    def of(self, request: Request) -> Hashable:
        """See `Read`."""
        found = find(request, self.name, self.keys)
        return None if found is ABSENT else key_of_value(found)


@dataclass(frozen=True, slots=True)
class PresenceRead:
    """Whether there is an attribute, or something in it, and whether that is a map."""

    name: str
    keys: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        """See `Read`."""
        return _size_of(self.name, self.keys)

    def of(self, request: Request) -> Hashable:
        """See `Read`."""
        found = find(request, self.name, self.keys)
        return None if found is ABSENT else isinstance(found, Mapping)


@dataclass(frozen=True, slots=True)
class UnderneathRead:
    """The same look where no header tells anything.

    A front end may have an attribute from somewhere else where a header lacks. The header that came
    in hides that, but adapters see it once one of them removed the header.
    """

    read: Read

    @property
    def size(self) -> int:
        """See `Read`."""
        return self.read.size

    def of(self, request: Request) -> Hashable:
        """See `Read`."""
        headers = request.headers
        as_it_was = headers.save()
        headers.set_all([])
        try:
            return self.read.of(request)
        finally:
            headers.restore(as_it_was)


ABSENT = object()
"""What is not there; null is."""


def find(request: Request, name: str, keys: tuple[Any, ...]) -> Any:
    """What a request has under an attribute's name and keys of mappings, or `ABSENT`."""
    value: Any = request.attributes.get(name)
    if value is None:
        return ABSENT
    for key in keys:
        try:
            value = value[key]
        except (KeyError, TypeError):
            return ABSENT
    return value


def _size_of(name: str, keys: tuple[Any, ...]) -> int:
    return len(name) + sum(len(key) for key in keys if isinstance(key, str | bytes))
