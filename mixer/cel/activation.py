"""What an expression can name."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

from mixer.attributes import VOCABULARY, Kind, Uint, Value


class _Absent:
    """Nothing goes by that name."""


ABSENT: Final = _Absent()


class Activation(Protocol):
    """The names at the top."""

    def find(self, name: str) -> Any:
        """The value, or `ABSENT`."""


Find = Callable[[str], Value | None]
"""Finds an attribute by its whole name; None where it is absent."""


class AttributeGroup(Mapping[str, Any]):
    """``request`` and the like: attributes by their last name, asked for when they are read.

    As in Envoy it does not tell which ones there are: its size is 0.
    """

    __slots__ = ("_find", "_prefix")

    def __init__(self, read: Find, prefix: str) -> None:
        self._find = read
        self._prefix = prefix

    def __getitem__(self, key: str) -> Any:
        value = _typed(self._find, self._prefix + key)
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AttributeGroup)

    __hash__ = None  # type: ignore[assignment]


def _typed(find: Find, name: str) -> Any:
    """An attribute's value in the type that the vocabulary declares, or None."""
    value = find(name)
    return Uint(value) if type(value) is int and VOCABULARY.get(name) is Kind.UINT else value


GROUPS = frozenset(name.partition(".")[0] for name in VOCABULARY if "." in name)
"""The first parts of the attributes' names."""


class AttributeActivation:
    """Attributes, by the names that they have at the top.

    Args:
        read: Finds an attribute by its whole name, such as `AttributeBag.get`.
    """

    __slots__ = ("_find",)

    def __init__(self, read: Find) -> None:
        self._find = read

    def find(self, name: str) -> Any:
        """See `Activation.find`."""
        if name in GROUPS:
            return AttributeGroup(self._find, f"{name}.")
        value = _typed(self._find, name)
        return ABSENT if value is None else value
