"""What the adapters of one engine share."""

from mixer.callouts.ports import Callouts
from mixer.config import SharedState
from mixer.proxywasm import Scheduler, Services
from mixer.state import MemorySharedData, MemorySharedQueues, StateLimits


def shared_services(bounds: SharedState, scheduler: Scheduler, callouts: Callouts) -> Services:
    """Make the stores, within the configured bounds."""
    limits = StateLimits(
        max_keys=bounds.max_keys,
        max_data_bytes=bounds.max_data_bytes,
        max_queues=bounds.max_queues,
        max_queue_length=bounds.max_queue_length,
        max_queue_bytes=bounds.max_queue_bytes,
    )
    return Services(
        scheduler=scheduler,
        callouts=callouts,
        shared_data=MemorySharedData(limits),
        shared_queues=MemorySharedQueues(limits),
    )
