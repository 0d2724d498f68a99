"""What adapters share beyond one request: ports, bounds, and the implementation in memory."""

from mixer.state.data import MemorySharedData
from mixer.state.limits import StateLimits
from mixer.state.ports import (
    DataUsage,
    EnqueueResult,
    Entry,
    Notify,
    QueueUsage,
    SetResult,
    SharedData,
    SharedQueues,
    UnknownQueueError,
)
from mixer.state.queues import MemorySharedQueues

__all__ = [
    "DataUsage",
    "EnqueueResult",
    "Entry",
    "MemorySharedData",
    "MemorySharedQueues",
    "Notify",
    "QueueUsage",
    "SetResult",
    "SharedData",
    "SharedQueues",
    "StateLimits",
    "UnknownQueueError",
]
