"""What an answer followed from, and the key that requests alike have in common.

Stricter than Istio's client where that one can be wrong: the key has the types of values as well as
the values, and an answer that followed from an entry of a map holds only for requests that have (or
lack) the map itself as the first one did.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from mixer.attributes import Duration, Timestamp, Value
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.dictionary import WORDS

Attributes = Mapping[str, Value]
Key = tuple[Any, ...]

_MOST = 1000
_EXACT = pb.ReferencedAttributes.EXACT
_ABSENCE = pb.ReferencedAttributes.ABSENCE
_COMPARABLE = frozenset({str, bytes, bool, int, Timestamp, Duration})
"""Types whose values are equal only where they are the same, told apart by the type itself."""

_NO_VALUES: tuple[Any, ...] = ()


class Match(NamedTuple):
    """What must hold of one attribute, or of one entry of a map.

    Attributes:
        name: Of the attribute.
        key: Of the entry; None for the attribute itself.
        present: Whether it must have the same value, or else be absent.
    """

    name: str
    key: str | None
    present: bool


class Conditions(NamedTuple):
    """What must hold of a request; the same for all that can be answered with the same set."""

    exact: frozenset[str]
    absent: frozenset[str]
    maps: frozenset[tuple[str, frozenset[str], frozenset[str]]]


class _MapEntries(NamedTuple):
    name: str
    values: Callable[[Any], tuple[Any, ...]]
    absent: frozenset[str]


class ReferenceSet:
    """Conditions, prepared for making keys of requests.

    Args:
        conditions: What must hold.
    """

    __slots__ = ("_absent", "_maps", "_values", "conditions")

    def __init__(self, conditions: Conditions) -> None:
        self.conditions = conditions
        self._absent = conditions.absent
        self._values = _values_of(conditions.exact)
        self._maps = tuple(
            _MapEntries(name, _values_of(exact), absent)
            for name, exact, absent in sorted(conditions.maps, key=itemgetter(0))
        )

    def key(self, attributes: dict[str, Any]) -> Key | None:
        """What a request has in common with all that this set makes alike.

        Returns:
            None where the conditions do not hold: the answers are not about this request.
        """
        if not attributes.keys().isdisjoint(self._absent):
            return None
        try:
            values = self._values(attributes)
            types = tuple(map(type, values))
            if not _COMPARABLE.issuperset(types):
                values = tuple(map(_as_key, values))
            for name, entries, absent in self._maps:
                texts = _map(attributes[name])
                if not texts.keys().isdisjoint(absent):
                    return None
                values += entries(texts)
        except (KeyError, TypeError):
            return None
        return self, types, values


def _values_of(names: frozenset[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Look all of them up at once, in an order that stays."""
    if not names:
        return lambda _: _NO_VALUES
    ordered = sorted(names)
    if len(ordered) == 1:
        (name,) = ordered
        return lambda values: (values[name],)
    return itemgetter(*ordered)


def _map(value: Any) -> dict[str, str]:
    if type(value) is dict:
        return value
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no type of an attribute")


def _as_key(value: Any) -> Any:
    """What is equal where values of the same type are the same, NaN and -0.0 included."""
    kind = type(value)
    if kind in _COMPARABLE:
        return value
    if kind is float:
        return struct.pack("<d", value)
    return frozenset(_map(value).items())


def comparable(value: Any) -> Any:
    """What is equal where values are the same, their types included.

    Raises:
        TypeError: It has no type of an attribute.
    """
    return type(value), _as_key(value)


def references(said: pb.ReferencedAttributes, attributes: Attributes) -> Conditions | None:
    """What an answer followed from.

    Args:
        said: As the server says it.
        attributes: Of the request that it answered.

    Returns:
        None where the answer must not be kept: it followed from a regular expression, a condition
        or a word that is not known here, something that the request does not have, or more than
        1000 values.
    """
    if len(said.attribute_matches) > _MOST:
        return None
    try:
        return _conditions(_matches(said), attributes)
    except (IndexError, ValueError):
        return None


def _matches(said: pb.ReferencedAttributes) -> Iterator[Match]:
    words = said.words

    def word(index: int) -> str:
        return WORDS[index] if index >= 0 else words[~index]

    for match in said.attribute_matches:
        _require(match.condition in (_EXACT, _ABSENCE))
        key = word(match.map_key) if match.map_key else None
        yield Match(word(match.name), key, match.condition == _EXACT)


def _conditions(matches: Iterator[Match], attributes: Attributes) -> Conditions:
    exact, absent = set(), set()
    maps: dict[str, tuple[set[str], set[str]]] = {}
    for match in matches:
        value = attributes.get(match.name)
        _require(_holds(match, value))
        if value is None:
            absent.add(match.name)
        elif match.key is None or not isinstance(value, Mapping):
            exact.add(match.name)
        else:
            maps.setdefault(match.name, (set(), set()))[not match.present].add(match.key)
    return Conditions(
        frozenset(exact),
        frozenset(absent),
        frozenset((n, frozenset(e), frozenset(a)) for n, (e, a) in maps.items()),
    )


def _holds(match: Match, value: Value | None) -> bool:
    """Whether the server can have seen this in the request that it answered."""
    if match.key is not None and isinstance(value, Mapping):
        return match.present == (match.key in value)
    return match.present == (value is not None)


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError
