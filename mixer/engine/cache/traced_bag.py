"""Attributes that tell what is looked up in them: names, and keys of mappings."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mixer.attributes import AttributeBag, Message, Value
from mixer.engine.cache.reads import AttributeRead, PresenceRead, Read

Note = Callable[[Read], None]


class TracedBag(AttributeBag):
    """The attributes of a request, read by whom `note` is told of.

    Args:
        bag: Where they are.
        note: Told of each read, before its value is handed out.
    """

    __slots__ = ("_bag", "_note")

    def __init__(self, bag: AttributeBag, note: Note) -> None:
        self._bag = bag
        self._note = note

    def get(self, name: str) -> Value | None:
        """See `AttributeBag.get`."""
        value: Value | None = _handed_out(self._bag.get(name), self._note, name, ())
        return value

    @property
    def direct(self) -> None:
        """See `AttributeBag.direct`."""
        return

    def knows(self, name: str) -> bool:
        """See `AttributeBag.knows`."""
        return self._bag.knows(name)

    def names(self) -> set[str]:
        """See `AttributeBag.names`."""
        return self._bag.names()


class _TracedMap(Mapping[Any, Any]):
    """A mapping in which single keys are looked up, until somebody reads all of it."""

    __slots__ = ("_inner", "_keys", "_name", "_note")

    def __init__(self, inner: Mapping[Any, Any], note: Note, name: str, keys: tuple[Any, ...]):
        self._inner = inner
        self._note: Note | None = note
        self._name = name
        self._keys = keys

    def __getitem__(self, key: Any) -> Any:
        note = self._note
        if note is None:
            return self._inner[key]
        try:
            value = self._inner[key]
        except KeyError:
            note(AttributeRead(self._name, (*self._keys, key)))
            raise
        return _handed_out(value, note, self._name, (*self._keys, key))

    def __contains__(self, key: object) -> bool:
        if self._note is not None:
            self._note(PresenceRead(self._name, (*self._keys, key)))
        return key in self._inner

    def __iter__(self) -> Iterator[Any]:
        self._read_whole()
        return iter(self._inner)

    def __len__(self) -> int:
        self._read_whole()
        return len(self._inner)

    def _read_whole(self) -> None:
        if self._note is not None:
            self._note(AttributeRead(self._name, self._keys))
            self._note = None


def _handed_out(value: Any, note: Note, name: str, keys: tuple[Any, ...]) -> Any:
    if isinstance(value, Mapping) and not isinstance(value, Message):
        note(PresenceRead(name, keys))
        return _TracedMap(value, note, name, keys)
    note(AttributeRead(name, keys))
    return value
