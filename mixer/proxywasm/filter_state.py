"""The filter state of one stream: what modules set, and what they declared of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from google.protobuf import (
    any_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from mixer.attributes import plain_value

WASM = "wasm."
"""Begins the name of what a module set, among the objects of the filter state."""


class StateType(IntEnum):
    """How a property that a module set is read (``WasmType``)."""

    BYTES = 0
    STRING = 1
    FLAT_BUFFERS = 2
    PROTOBUF = 3


@dataclass(frozen=True, slots=True)
class Prototype:
    """What is declared of a property.

    Attributes:
        type: How it is read.
        readonly: Whether it can be set only once.
        schema: For a protobuf message, the URL of its type.
    """

    type: StateType = StateType.BYTES
    readonly: bool = False
    schema: bytes = b""

    def value(self, content: bytes, *, whole: bool) -> Any:
        """The property as a value of CEL.

        Args:
            content: What was set.
            whole: Whether the property itself is asked for, not something in it.
        """
        if self.type is StateType.STRING:
            return content.decode(errors="surrogateescape")
        if self.type is StateType.PROTOBUF and not whole:
            return _message(self.schema.decode("utf-8", "replace"), content)
        return content


UNDECLARED = Prototype()


# So that the default pool knows them, whatever else is imported.
_WELL_KNOWN = (
    any_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)


def _message(url: str, content: bytes) -> Any:
    """A message of a type that this process knows; one of another type has no fields."""
    try:
        kind = GetMessageClass(Default().FindMessageTypeByName(url.rpartition("/")[2]))
        return plain_value(kind.FromString(content))
    except (KeyError, DecodeError):
        return None


@dataclass(frozen=True, slots=True)
class FilterState:
    """Beyond the bytes that modules set; it is replaced, not changed.

    Attributes:
        declared: By path, what was declared of a property when it was first set.
        objects: Objects of Envoy's own kinds, as they read and with their life span, by name.
    """

    declared: Mapping[bytes, Prototype] = field(default_factory=dict)
    objects: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    def declare(self, path: bytes, prototype: Prototype) -> "FilterState":
        """The same with one more property."""
        return FilterState({**self.declared, path: prototype}, self.objects)

    def put(self, name: str, value: str, span: int) -> "FilterState":
        """The same with this object; as in Envoy, one with another life span stays."""
        if self.objects.get(name, ("", span))[1] != span:
            return self
        return FilterState(self.declared, {**self.objects, name: (value, span)})


NOTHING_DECLARED = FilterState()


class FilterStateMap(Mapping[str, Any]):
    """``filter_state`` as a map of CEL: it tells what there is, but not how much."""

    __slots__ = ("_set", "_state")

    def __init__(self, set_by_modules: Mapping[bytes, bytes], state: FilterState) -> None:
        self._set = set_by_modules
        self._state = state

    def __getitem__(self, key: str) -> Any:
        path = key.removeprefix(WASM).encode(errors="surrogateescape")
        if key.startswith(WASM) and path in self._set:
            return self._state.declared.get(path, UNDECLARED).value(self._set[path], whole=False)
        if key in _UNREADABLE:
            raise KeyError(key)
        return self._state.objects[key][0].encode()

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


_UNREADABLE = frozenset({"envoy.network.application_protocols"})
