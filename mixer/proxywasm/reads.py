"""The read set: what a module looked at while it made a decision, absences included."""

from dataclasses import dataclass, field

from mixer.proxywasm.abi import BufferType, MapType


@dataclass(slots=True)
class ReadSet:
    """What one stream context read.

    Attributes:
        headers: First value found under each header name of each map, None where it was absent.
        whole_maps: Maps of which the module read every header, or the size.
        properties: Serialized value of each property path, None where it was absent.
        buffers: Buffers of which it read the content or the size.
        clock: Whether it asked for the time.
        random: Whether it asked for randomness.
        volatile: Whether it asked for what other requests or adapters change: shared data, queues,
            metrics.
    """

    headers: dict[tuple[MapType, bytes], bytes | None] = field(default_factory=dict)
    whole_maps: set[MapType] = field(default_factory=set)
    properties: dict[bytes, bytes | None] = field(default_factory=dict)
    buffers: set[BufferType] = field(default_factory=set)
    clock: bool = False
    random: bool = False
    volatile: bool = False
