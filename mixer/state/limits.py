"""Bounds of what adapters share."""

from dataclasses import dataclass

MIB = 1 << 20

CLEARED_AT_ONCE = 64
"""Expired keys that one set clears away, if it needs no more room: no call takes long."""

TOLD_AT_ONCE = 65_536
"""Messages of one queue that another process is told of at once; there may be more."""


@dataclass(frozen=True, slots=True)
class StateLimits:
    """Bounds for each ``vm_id``; Envoy has none.

    Attributes:
        max_keys: Keys of shared data.
        max_data_bytes: Bytes of its keys and values together.
        max_queues: Queues.
        max_queue_length: Messages in one queue.
        max_queue_bytes: Bytes of the messages of one queue together.
        ttl: Seconds after its last set at which a key of shared data is no longer there; None
            keeps it.
    """

    max_keys: int = 65_536
    max_data_bytes: int = 64 * MIB
    max_queues: int = 256
    max_queue_length: int = 16_384
    max_queue_bytes: int = 16 * MIB
    ttl: float | None = None
