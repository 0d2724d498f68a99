"""What adapters share beyond one request: ports, bounds, and the implementation in memory.

`mixer.state.lmdb_store` and `mixer.state.redis_store` are imported only where they are configured.
"""

from mixer.state.data import MemorySharedData
from mixer.state.limits import StateLimits
from mixer.state.memory import memory_shared_data, memory_stores
from mixer.state.ports import (
    DataUsage,
    EnqueueResult,
    Entry,
    Notify,
    Post,
    QueueUsage,
    SetResult,
    SharedData,
    SharedQueues,
    StoreError,
    Stores,
    StoreUnavailableError,
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
    "Post",
    "QueueUsage",
    "SetResult",
    "SharedData",
    "SharedQueues",
    "StateLimits",
    "StoreError",
    "StoreUnavailableError",
    "Stores",
    "UnknownQueueError",
    "memory_shared_data",
    "memory_stores",
]
