"""The values of the language, and how they compare.

They are Python's, but for what Python does not tell apart: `Uint`, `Timestamp` and `Duration` are
integers of their own type. null is None.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

from mixer.attributes import Duration, Message, Timestamp, Uint
from mixer.cel.errors import EvaluationError

INT_RANGE = range(-(1 << 63), 1 << 63)
UINT_RANGE = range(1 << 64)

NUMBERS = (int, Uint, float)


@dataclass(frozen=True, slots=True)
class TypeName:
    """A type as a value: what ``type(1)`` gives."""

    name: str


_NAMES: dict[type, str] = {
    bool: "bool", int: "int", Uint: "uint", float: "double", str: "string", bytes: "bytes",
    NoneType: "null_type", TypeName: "type", Timestamp: "google.protobuf.Timestamp",
    Duration: "google.protobuf.Duration",
}  # fmt: skip

_TYPES = {name: TypeName(name) for name in (*_NAMES.values(), "list", "map")}

TYPES = {name: value for name, value in _TYPES.items() if "." not in name}
"""The names that are types in an expression; Envoy does not know those of messages."""


def type_of(value: Any) -> TypeName:
    """The type of a value."""
    name = _NAMES.get(type(value))
    if name is None:
        name = "list" if is_list(value) else "map"
    return _TYPES[name]


def is_list(value: Any) -> bool:
    """Whether a value is a list."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def is_map(value: Any) -> bool:
    """Whether a value is a map."""
    return isinstance(value, Mapping)


def fields(value: Any) -> Mapping[Any, Any] | None:
    """What can be selected from a value by name, or None where it has no fields."""
    if isinstance(value, Message):
        return value.fields
    return value if isinstance(value, Mapping) else None


class CelMap(Mapping[Any, Any]):
    """A map that an expression spells: 1, 1u and 1.0 are one key, true is another.

    Raises:
        EvaluationError: A key is repeated, or of a type that no key has.
    """

    __slots__ = ("_entries",)

    def __init__(self, pairs: Iterator[tuple[Any, Any]]) -> None:
        self._entries: dict[Hashable, tuple[Any, Any]] = {}
        for key, value in pairs:
            if type(key) not in {bool, int, Uint, str}:
                raise EvaluationError("a key of a map must be a bool, an int, a uint or a string")
            place = _place(key)
            if place in self._entries:
                raise EvaluationError("a key of a map is repeated")
            self._entries[place] = key, value

    def __getitem__(self, key: Any) -> Any:
        return self._entries[_place(key)][1]

    def __iter__(self) -> Iterator[Any]:
        return (key for key, _ in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)


def can_be_key(entries: Mapping[Any, Any], key: Any) -> bool:
    """Whether a map can be asked for a key; those of attributes have strings only."""
    return isinstance(key, str) or (
        isinstance(entries, CelMap | dict) and isinstance(key, bool | int | float)
    )


def _place(key: Any) -> Hashable:
    kind = type(key)
    return ("number", key) if kind in NUMBERS else (kind, key)


def equal(left: Any, right: Any) -> bool:
    """Whether two values are equal; those of different types are not, but for numbers."""
    one, other = type(left), type(right)
    if one in NUMBERS and other in NUMBERS:
        return bool(float(left) == float(right) if float in (one, other) else left == right)
    if is_list(left) and is_list(right):
        same = zip(left, right, strict=False)
        return len(left) == len(right) and all(equal(a, b) for a, b in same)
    if is_map(left) and is_map(right):
        return len(left) == len(right) and all(
            key in right and equal(value, right[key]) for key, value in left.items()
        )
    return one is other and bool(left == right)


def weigh(charge: Callable[[int], None], value: Any) -> None:
    """Charge for all that is in a value: what comparing, copying or encoding it costs.

    It is charged bit by bit, since lists that hold one list twice grow without taking memory.

    Raises:
        BudgetError: There is more than may be looked at.
    """
    if isinstance(value, str | bytes):
        charge(1 + (len(value) >> 4))
        return
    charge(1)
    if is_list(value):
        for item in value:
            weigh(charge, item)
    elif is_map(value):
        for key, item in value.items():
            weigh(charge, key)
            weigh(charge, item)
