"""The attribute bag: what a front end knows of a request, computed only when it is read."""

from collections.abc import Callable, Mapping
from typing import Any

from mixer.attributes.values import Value

Resolver = Callable[[Any], Value | None]
"""Computes one attribute from what the front end received; None where it is absent."""


class AttributeBag:
    """Attributes by name, such as ``request.path``.

    A front end has one table of resolvers for all requests, so that making a bag costs nothing.

    Args:
        resolvers: How to compute each attribute that the front end can know.
        source: What the resolvers are given.
    """

    __slots__ = ("_known", "_resolvers", "_source")

    def __init__(self, resolvers: Mapping[str, Resolver], source: Any) -> None:
        self._resolvers = resolvers
        self._source = source
        self._known: dict[str, Value | None] = {}

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> "AttributeBag":
        """A bag with these values, for tests and the runner."""
        bag = cls({}, None)
        bag._known.update(values)
        return bag

    def get(self, name: str) -> Value | None:
        """The value of an attribute, or None where it is absent."""
        known = self._known
        if name in known:
            return known[name]
        resolver = self._resolvers.get(name)
        value = known[name] = resolver(self._source) if resolver else None
        return value

    def knows(self, name: str) -> bool:
        """Whether the front end can have this attribute, absent or not in this request."""
        return name in self._resolvers or name in self._known

    def names(self) -> set[str]:
        """The attributes that the front end can know."""
        return self._resolvers.keys() | self._known.keys()
