"""The stores in the memory of this process, together."""

from mixer.state.data import MemorySharedData
from mixer.state.expiring import ExpiringSharedData
from mixer.state.limits import StateLimits
from mixer.state.ports import SharedData, Stores
from mixer.state.queues import MemorySharedQueues


def memory_shared_data(limits: StateLimits) -> SharedData:
    """Shared data in memory; what never expires is not asked whether it has."""
    return MemorySharedData(limits) if limits.ttl is None else ExpiringSharedData(limits)


def memory_stores(limits: StateLimits) -> Stores:
    """Stores of this process alone, gone with it."""
    return Stores(memory_shared_data(limits), MemorySharedQueues(limits), lambda: None)
