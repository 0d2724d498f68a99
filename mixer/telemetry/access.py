"""What is told of who can reach the listeners."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from mixer.telemetry.family import Sample


class _Certificate(Protocol):
    @property
    def listener(self) -> str: ...
    @property
    def expires(self) -> int: ...
    @property
    def is_stale(self) -> bool: ...


class _AllowList(Protocol):
    @property
    def listener(self) -> str: ...
    @property
    def refused(self) -> int: ...


class Access(Protocol):
    """The listeners that have TLS, and those that have a list of callers."""

    @property
    def certificates(self) -> Sequence[_Certificate]:
        """Of those with TLS."""

    @property
    def allow_lists(self) -> Sequence[_AllowList]:
        """Of those with a list."""


def expirations(access: Access) -> Iterator[Sample]:
    """When certificates end, in seconds since 1970."""
    return (Sample(_of(one.listener), one.expires) for one in access.certificates)


def stale(access: Access) -> Iterator[Sample]:
    """Whether files cannot be used."""
    return (Sample(_of(one.listener), int(one.is_stale)) for one in access.certificates)


def refused(access: Access) -> Iterator[Sample]:
    """Calls of callers that are on no list."""
    return (Sample(_of(one.listener), one.refused) for one in access.allow_lists)


def _of(listener: str) -> tuple[tuple[str, str], ...]:
    return (("listener", listener),)
