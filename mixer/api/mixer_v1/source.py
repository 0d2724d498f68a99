"""What a caller of Mixer told, with a note of everything that is looked up in it."""

from collections.abc import ItemsView, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mixer.api.mixer_v1.headers import request_headers
from mixer.api.mixer_v1.references import References
from mixer.attributes import FindCaller, Value


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked beyond the attributes.

    Attributes:
        operation: ``check``, ``quota`` or ``report``.
        caller: Tells who asks.
        dedup_id: The same in a repetition; None where the caller gave none.
        quota: Name, amount and ``best_effort``; None unless a quota is asked for.
    """

    operation: str
    caller: FindCaller
    dedup_id: str | None = None
    quota: Mapping[str, Any] | None = None


class MixerSource:
    """The attributes of one request, by Istio's names.

    Args:
        values: Those that were admitted.
        asked: What is asked beyond them.
        references: Where look-ups are noted; None where nobody is told.
    """

    __slots__ = ("_asked", "_references", "_values", "headers")

    def __init__(
        self, values: Mapping[str, Value], asked: Asked, references: References | None = None
    ) -> None:
        self._values = values
        self._asked = asked
        self._references = references
        self.headers = request_headers(self)

    def get(self, name: str) -> Value | None:
        """An attribute, or None where it is absent."""
        value = self._values.get(name)
        if self._references is None:
            return value
        if isinstance(value, dict):
            return TracedMap(name, value, self._references)
        self._references.attribute(name, found=value is not None)
        return value

    def has(self, name: str) -> bool:
        """Whether an attribute is there."""
        value = self.get(name)
        if isinstance(value, TracedMap):
            value.note_presence()
        return value is not None

    def untraced(self, name: str) -> Value | None:
        """An attribute that the answer does not follow from."""
        return self._values.get(name)

    def text(self, name: str) -> str | None:
        """An attribute that is a text, or None."""
        value = self.get(name)
        return value if isinstance(value, str) else None

    def string_map(self, name: str) -> Mapping[str, str]:
        """An attribute that is a map; empty where it is absent."""
        value = self.get(name)
        return value if isinstance(value, Mapping) else {}

    @property
    def all(self) -> Mapping[str, Value]:
        """Every attribute by Istio's name."""
        return self._values if self._references is None else _Attributes(self, self._values)

    @property
    def operation(self) -> str:
        """See `Asked`, as for the next ones."""
        return self._asked.operation

    @property
    def caller(self) -> FindCaller:
        """Tells who asks."""
        return self._asked.caller

    @property
    def dedup_id(self) -> str | None:
        """Another one in each request: an answer that depends on it is not for keeping."""
        self.is_volatile()
        return self._asked.dedup_id

    @property
    def quota(self) -> Mapping[str, Any] | None:
        """What is asked of which quota."""
        return self._asked.quota

    def is_volatile(self) -> None:
        """Note that the answer depends on what no reference can say."""
        if self._references is not None:
            self._references.volatile = True


class TracedMap(Mapping[str, str]):
    """A map of texts whose look-ups are noted.

    Args:
        name: Of the attribute.
        texts: Its value.
        references: Where look-ups are noted.
    """

    __slots__ = ("_name", "_references", "_texts")

    def __init__(self, name: str, texts: Mapping[str, str], references: References) -> None:
        self._name = name
        self._texts = texts
        self._references = references

    def __getitem__(self, key: str) -> str:
        text = self._texts.get(key)
        self._references.entry(self._name, key, found=text is not None)
        if text is None:
            raise KeyError(key)
        return text

    def note_presence(self) -> None:
        """Note that the answer follows from the map being there."""
        self._references.presence(self._name, self._texts)

    def __iter__(self) -> Iterator[str]:
        self._references.whole(self._name)
        return iter(self._texts)

    def items(self) -> ItemsView[str, str]:
        """All of them, without a note for each key."""
        self._references.whole(self._name)
        return self._texts.items()

    def __len__(self) -> int:
        self._references.whole(self._name)
        return len(self._texts)


class _Attributes(Mapping[str, Value]):
    """The attributes as a map: ``mixer.attribute``."""

    __slots__ = ("_source", "_values")

    def __init__(self, source: MixerSource, values: Mapping[str, Value]) -> None:
        self._source = source
        self._values = values

    def __getitem__(self, name: str) -> Value:
        value = self._source.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._source.has(name)

    def __iter__(self) -> Iterator[str]:
        self._source.is_volatile()
        return iter(self._values)

    def __len__(self) -> int:
        self._source.is_volatile()
        return len(self._values)
