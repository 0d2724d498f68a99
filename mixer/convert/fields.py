"""The fields of a document, read by name as Mixer reads its Protobuf messages from YAML.

A field may have its name in camelCase or in snake_case; numbers of 64 bits may be text; what
nobody has read in the end is no field of the message.
"""

import re
from collections.abc import Mapping, Sequence

from mixer.config.document import Document
from mixer.config.problem import FieldPath
from mixer.config.validation import nearest, one_of, type_name
from mixer.convert.cexl.literals import parse_duration
from mixer.convert.findings import Findings, LostError

_WHOLE = re.compile(r"-?[0-9]{1,19}")
_UPPER = re.compile(r"[A-Z]")


class Fields:
    """A mapping of a document.

    Args:
        document: That it is in.
        path: To the mapping.
        data: The mapping; None is an empty one.

    Raises:
        LostError: From every method that reads: a value has the wrong type.
    """

    def __init__(self, document: Document, path: FieldPath, data: object) -> None:
        if data is not None and not isinstance(data, dict):
            raise LostError(path, f"must be a mapping, not {type_name(data)}")
        self.document = document
        self.path = path
        self._data: Mapping[str, object] = data or {}
        self._known: set[str] = set()

    def where(self, name: str) -> FieldPath:
        """The path of a field, as it is written."""
        snake = _UPPER.sub(lambda one: f"_{one[0].lower()}", name)
        return (*self.path, snake if snake in self._data and name not in self._data else name)

    def has(self, name: str) -> bool:
        """Whether a field is given."""
        return self._value(name) is not None

    def text(self, name: str, default: str = "") -> str:
        """A string."""
        value = self._value(name)
        if value is None:
            return default
        if not isinstance(value, str):
            hint = ": put quotes around it" if isinstance(value, bool | int | float) else ""
            raise self._error(name, f"must be a string, not {type_name(value)}{hint}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """A bool."""
        value = self._value(name)
        if value is not None and not isinstance(value, bool):
            raise self._error(name, f"must be a boolean, not {type_name(value)}")
        return default if value is None else value

    def whole(self, name: str, default: int) -> int:
        """A whole number, perhaps as text."""
        value = self._value(name)
        if value is None:
            return default
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) >> 63:
            raise self._error(name, f"must be an integer of 64 bits, not {type_name(value)}")
        return value

    def span(self, name: str, default: int = 0) -> int:
        """A duration in nanoseconds, not below zero."""
        value = self._value(name)
        if value is None:
            return default
        parsed = parse_duration(value) if isinstance(value, str) else None
        if parsed is None or parsed < 0:
            raise self._error(name, "must be a duration such as 500ms, 1s or 1m30s")
        return parsed

    def choice(self, name: str, options: Sequence[str]) -> str:
        """One of an enumeration, perhaps by its number; the first is the default."""
        value = self._value(name)
        return options[0] if value is None else _chosen(value, options, self.where(name))

    def choices(self, name: str, options: Sequence[str]) -> dict[str, str]:
        """A map whose values are of an enumeration."""
        inner = self.inner(name)
        return {key: _chosen(inner.take(key), options, inner.where(key)) for key in inner.names()}

    def texts(self, name: str) -> list[tuple[FieldPath, str]]:
        """A list of strings, each with its place."""
        listed = self._listed(name)
        for path, value in listed:
            if not isinstance(value, str):
                raise LostError(path, f"must be a string, not {type_name(value)}")
        return [(path, str(value)) for path, value in listed]

    def items(self, name: str) -> "list[Fields]":
        """A list of messages."""
        return [Fields(self.document, path, value) for path, value in self._listed(name)]

    def inner(self, name: str) -> "Fields":
        """A message, empty where it is not given."""
        return Fields(self.document, self.where(name), self._value(name))

    def names(self) -> list[str]:
        """The keys, for a map rather than a message."""
        self._known.update(self._data)
        return list(self._data)

    def take(self, name: str) -> object:
        """A value as it is."""
        return self._value(name)

    def finish(self, findings: Findings) -> None:
        """Report every field that was not asked for."""
        for name in self._data:
            if name not in self._known and self._data[name] is not None:
                hint = nearest(name, self._known)
                findings.lost(self.document, (*self.path, name), f"unknown field{hint}")

    def _value(self, name: str) -> object:
        written = str(self.where(name)[-1])
        self._known.update((name, written))
        return self._data.get(written)

    def _listed(self, name: str) -> list[tuple[FieldPath, object]]:
        value = self._value(name)
        if value is not None and not isinstance(value, list):
            raise self._error(name, f"must be a list, not {type_name(value)}")
        return [((*self.where(name), index), one) for index, one in enumerate(value or [])]

    def _error(self, name: str, message: str) -> LostError:
        return LostError(self.where(name), message)


def _chosen(value: object, options: Sequence[str], path: FieldPath) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(options):
        return options[value]
    if value not in options:
        raise LostError(path, one_of(options, value))
    return str(value)
