"""Values that requests alike share; the least recently used are forgotten first."""

from collections import OrderedDict
from collections.abc import Iterable
from sys import getsizeof
from typing import Any, Generic, TypeVar

from mixer.client.references import Attributes, Conditions, Key, ReferenceSet

T = TypeVar("T")

_OVERHEAD = 700
"""Bytes of an entry, or of a set of conditions, without what is in it."""


class _Set:
    """A set of conditions, with the keys that were made of it."""

    __slots__ = ("conditions", "key", "keys", "scope", "size")

    def __init__(self, conditions: Conditions, scope: str) -> None:
        self.conditions = conditions
        self.key = ReferenceSet(conditions).key
        self.keys: set[Key] = set()
        self.scope = scope
        self.size = _OVERHEAD + _deep_size(conditions)


class _Entry(Generic[T]):
    __slots__ = ("made_of", "size", "value")

    def __init__(self, value: T, size: int, made_of: _Set) -> None:
        self.value = value
        self.size = size
        self.made_of = made_of


class AlikeMap(Generic[T]):
    """Finds by a request what was kept for another that is alike.

    What makes requests alike differs from answer to answer: there are several sets of conditions,
    tried one after the other, and the one that was of use last comes first. Not safe for threads.

    Args:
        entries: Values at the most.
        max_bytes: What values, keys and conditions may take.
        sets: Sets of conditions at the most, in each scope.

    Attributes:
        size: Bytes that it takes.
        evictions: How many values were forgotten to make room.
    """

    def __init__(self, entries: int, max_bytes: int, sets: int) -> None:
        self._most_entries = entries
        self._most_bytes = max_bytes
        self._most_sets = sets
        self._entries: OrderedDict[Key, _Entry[T]] = OrderedDict()
        self._scopes: dict[str, OrderedDict[Conditions, _Set]] = {}
        self.size = 0
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, attributes: Attributes, scope: str = "") -> tuple[Key, T] | None:
        """A value that was kept for a request like this one, and its key.

        Args:
            attributes: Of the request.
            scope: As it was given to `keep`.
        """
        sets = self._scopes.get(scope)
        if sets is None:
            return None
        plain = attributes if type(attributes) is dict else dict(attributes)
        first = True
        for one in sets.values():
            key = one.key(plain)
            if key is not None and (entry := self._entries.get(key)) is not None:
                self._entries.move_to_end(key)
                if not first:
                    sets.move_to_end(one.conditions, last=False)
                return key, entry.value
            first = False
        return None

    def keep(
        self, attributes: Attributes, conditions: Conditions, value: T, size: int, scope: str = ""
    ) -> None:
        """Keep a value for requests like this one, instead of what was kept for them before.

        Args:
            attributes: Of the request.
            conditions: What makes another request alike.
            value: To find again.
            size: Bytes that it takes.
            scope: Of values that are found apart from others.
        """
        one = self._set(conditions, scope)
        key = one.key(dict(attributes))
        size += _OVERHEAD + _deep_size(key or ())
        if key is None or size + one.size > self._most_bytes:
            self._drop_if_empty(one)
            return
        old = self._entries.pop(key, None)
        self._entries[key] = _Entry(value, size, one)
        one.keys.add(key)
        self.size += size - (old.size if old else 0)
        while len(self._entries) > self._most_entries or self.size > self._most_bytes:
            self.evictions += 1
            self.remove(next(iter(self._entries)))

    def oldest(self) -> tuple[Key, T] | None:
        """The value that was not found for the longest time, and its key."""
        for key, entry in self._entries.items():
            return key, entry.value
        return None

    def remove(self, key: Key) -> None:
        """Forget a value."""
        entry = self._entries.pop(key)
        self.size -= entry.size
        entry.made_of.keys.discard(key)
        self._drop_if_empty(entry.made_of)

    def _set(self, conditions: Conditions, scope: str) -> _Set:
        sets = self._scopes.setdefault(scope, OrderedDict())
        one = sets.get(conditions)
        if one is None:
            one = sets[conditions] = _Set(conditions, scope)
            self.size += one.size
        sets.move_to_end(conditions, last=False)
        if len(sets) > self._most_sets:
            self._forget(next(reversed(sets.values())))
        return one

    def _forget(self, one: _Set) -> None:
        for key in tuple(one.keys):
            self.evictions += 1
            self.remove(key)

    def _drop_if_empty(self, one: _Set) -> None:
        if one.keys:
            return
        sets = self._scopes[one.scope]
        if sets.pop(one.conditions, None):
            self.size -= one.size
        if not sets:
            del self._scopes[one.scope]


def _deep_size(values: Iterable[Any]) -> int:
    """Bytes of texts and numbers, and of the tuples and sets that they are in."""
    return sum(
        getsizeof(value) + (_deep_size(value) if isinstance(value, tuple | frozenset) else 0)
        for value in values
        if not isinstance(value, type | ReferenceSet)
    )
