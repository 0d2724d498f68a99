"""What a module looked at while it handled a stream, absences included, and what it did beside."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from mixer.proxywasm.abi import BufferType, LogLevel, MapType


class Reads(Protocol):
    """Told by host calls of what else than its own memory a module's answer follows from.

    What it reads of attributes is not told here but by `mixer.attributes.AttributeBag`, which
    whoever wants to know that wraps.
    """

    def saw_header(self, map_type: MapType, name: bytes, found: bytes | None) -> None:
        """It looked a header up; None where it is absent."""

    def saw_map(self, map_type: MapType) -> None:
        """It read every header of a map, or its size."""

    def saw_property(self, path: bytes, value: bytes | None) -> None:
        """It looked a property up; None where it is absent."""

    def saw_buffer(self, buffer_type: BufferType) -> None:
        """It read the content or the size of a buffer, or changed a part of it."""

    def saw_clock(self) -> None:
        """It asked for the time."""

    def saw_random(self) -> None:
        """It asked for randomness."""

    def saw_volatile(self) -> None:
        """It asked for, or changed, what other requests see or change: shared data, callouts."""

    def changed_header(self, map_type: MapType, name: bytes | None) -> None:
        """It changed the values of a header; None where it replaced a whole map."""

    def changed_metric(self, change: Callable[[int], None], value: int) -> None:
        """It changed a metric: called with the value, `change` does so once more."""

    def logged(self, sink: Callable[[LogLevel, str], None], level: LogLevel, message: str) -> None:
        """It logged a message."""


@dataclass(slots=True)
class ReadSet:
    """Keeps what one stream context read; see `Reads`.

    Attributes:
        headers: First value found under each header name of each map, None where it was absent.
        whole_maps: Maps of which the module read every header, or the size.
        properties: Serialized value of each property path, None where it was absent.
        buffers: Buffers of which it read the content or the size.
        clock: Whether it asked for the time.
        random: Whether it asked for randomness.
        volatile: Whether it asked for what other requests or adapters change: shared data, queues,
            metrics, callouts.
    """

    headers: dict[tuple[MapType, bytes], bytes | None] = field(default_factory=dict)
    whole_maps: set[MapType] = field(default_factory=set)
    properties: dict[bytes, bytes | None] = field(default_factory=dict)
    buffers: set[BufferType] = field(default_factory=set)
    clock: bool = False
    random: bool = False
    volatile: bool = False

    def saw_header(self, map_type: MapType, name: bytes, found: bytes | None) -> None:
        """See `Reads`."""
        self.headers[map_type, name] = found

    def saw_map(self, map_type: MapType) -> None:
        """See `Reads`."""
        self.whole_maps.add(map_type)

    def saw_property(self, path: bytes, value: bytes | None) -> None:
        """See `Reads`."""
        self.properties[path] = value

    def saw_buffer(self, buffer_type: BufferType) -> None:
        """See `Reads`."""
        self.buffers.add(buffer_type)

    def saw_clock(self) -> None:
        """See `Reads`."""
        self.clock = True

    def saw_random(self) -> None:
        """See `Reads`."""
        self.random = True

    def saw_volatile(self) -> None:
        """See `Reads`."""
        self.volatile = True

    def changed_header(self, map_type: MapType, name: bytes | None) -> None:
        """See `Reads`; what was changed is not read."""

    def changed_metric(self, change: Callable[[int], None], value: int) -> None:
        """See `Reads`; what was changed is not read."""

    def logged(self, sink: Callable[[LogLevel, str], None], level: LogLevel, message: str) -> None:
        """See `Reads`; what was logged is not read."""
