"""What a decision can follow from, each as something that can be looked up in another request.

All of them look at the request as it came in. What an adapter sees of a header that one before it
changed follows from that change and from the original values, and both are in the key: the change
as it follows from earlier reads, and the values since each change of a header counts as a read.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol

from mixer.engine.cache.values import key_of_bytes, key_of_headers, key_of_value
from mixer.engine.request import Request


class Read(Protocol):
    """One look at a request; equal to another one that looks at the same."""

    def of(self, request: Request) -> Hashable:
        """What stands for the value in a request that no adapter has changed.

        Raises:
            UnkeyableError: Nothing can.
        """


@dataclass(frozen=True, slots=True)
class HeaderRead:
    """All values of one header, in order; `name` as the header map has it."""

    name: bytes

    def of(self, request: Request) -> Hashable:
        """See `Read`."""
        return key_of_headers(request.headers.original(self.name))


@dataclass(frozen=True, slots=True)
class HeadersRead:
    """Every header, in order."""

    def of(self, request: Request) -> Hashable:
        """See `Read`."""
        return key_of_bytes(repr(request.headers.pairs()).encode())


@dataclass(frozen=True, slots=True)
class HeaderCountRead:
    """How many headers there are: every module is told."""

    def of(self, request: Request) -> Hashable:
        """See `Read`."""
        return request.headers.count()


@dataclass(frozen=True, slots=True)
class BodyRead:
    """The body."""

    def of(self, request: Request) -> Hashable:
        """See `Read`."""
        return key_of_bytes(request.body or b"")


@dataclass(frozen=True, slots=True)
class BodySizeRead:
    """The size of the body: a module that is called for the body is told."""

    def of(self, request: Request) -> Hashable:
        """See `Read`."""
        return len(request.body or b"")


@dataclass(frozen=True, slots=True)
class AttributeRead:
    """An attribute, or what is found in it by going from key to key; None where it is absent."""

    name: str
    keys: tuple[Any, ...] = ()

    def of(self, request: Request) -> Hashable:
        """See `Read`."""
        return key_of_value(find(request, self.name, self.keys))


@dataclass(frozen=True, slots=True)
class PresenceRead:
    """Whether there is an attribute, or something in it."""

    name: str
    keys: tuple[Any, ...] = ()

    def of(self, request: Request) -> Hashable:
        """See `Read`."""
        return find(request, self.name, self.keys) is not None


def find(request: Request, name: str, keys: tuple[Any, ...]) -> Any:
    """What a request has under an attribute's name and keys of mappings; None where nothing is."""
    value: Any = request.attributes.get(name)
    for key in keys:
        try:
            value = value[key]
        except (KeyError, TypeError):
            return None
    return value
