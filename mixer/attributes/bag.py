"""The attribute bag: what a front end knows of a request, computed only when it is read."""

from collections.abc import Callable, Mapping
from typing import Any

from mixer.attributes.values import Value

Resolver = Callable[[Any], Value | None]
"""Computes one attribute from what the front end received; None where it is absent."""


class AttributeBag:
    """Attributes by name, such as ``request.path``.

    A front end has one table of resolvers for all requests, so that making a bag costs nothing.
    Values are not kept: those of the request's headers change while adapters change the headers.

    Args:
        resolvers: How to compute each attribute that the front end can know.
        source: What the resolvers are given.
    """

    __slots__ = ("_resolvers", "_source")

    def __init__(self, resolvers: Mapping[str, Resolver], source: Any) -> None:
        self._resolvers = resolvers
        self._source = source

    def get(self, name: str) -> Value | None:
        """The value of an attribute, or None where it is absent."""
        resolver = self._resolvers.get(name)
        return resolver(self._source) if resolver else None

    @property
    def direct(self) -> tuple[Mapping[str, Resolver], Any] | None:
        """The resolvers and their source; None where every read has to go through `get`."""
        return self._resolvers, self._source

    def knows(self, name: str) -> bool:
        """Whether the front end can have this attribute, absent or not in this request."""
        return name in self._resolvers

    def names(self) -> set[str]:
        """The attributes that the front end can know."""
        return set(self._resolvers)
