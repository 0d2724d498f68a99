"""The durable queue: what a module enqueues for billing goes into the ledger."""

import logging
from collections.abc import Mapping

from mixer.state.ledger.commits import GroupCommit
from mixer.state.ledger.entries import MalformedEntryError, record_of
from mixer.state.ports import (
    EnqueueResult,
    Notify,
    QueueUsage,
    SharedQueues,
    UnknownQueueError,
)

_log = logging.getLogger(__name__)

USAGE_VM_ID = "mixer"
USAGE_NAME = b"usage"
USAGE_QUEUE = 0x7FFF_FFFF
"""The id of the durable queue: those of other queues count from 1."""


class LedgerQueues:
    """`mixer.state.SharedQueues`, one of which is the ledger's.

    That one cannot be registered and gives nothing back: what is in the ledger stays there.

    Args:
        queues: All others.
        commits: Takes what is enqueued.

    Attributes:
        malformed: Messages that were no entries, or out of bounds.
    """

    def __init__(self, queues: SharedQueues, commits: GroupCommit) -> None:
        self._queues = queues
        self._commits = commits
        self.malformed = 0

    def register(self, vm_id: str, name: bytes, notify: Notify) -> int | None:
        """See `mixer.state.SharedQueues`; nobody is told of what goes into the ledger."""
        return self._queues.register(vm_id, name, notify)

    def resolve(self, vm_id: str, name: bytes) -> int | None:
        """See `mixer.state.SharedQueues`."""
        if vm_id == USAGE_VM_ID and name == USAGE_NAME:
            return USAGE_QUEUE
        return self._queues.resolve(vm_id, name)

    def enqueue(self, queue: int, message: bytes) -> EnqueueResult:
        """See `mixer.state.SharedQueues`; what the ledger takes on is DURABLE."""
        if queue != USAGE_QUEUE:
            return self._queues.enqueue(queue, message)
        try:
            record = record_of(message)
        except MalformedEntryError as error:
            if not self.malformed:
                _log.warning("an adapter enqueued what the ledger does not take: %s", error)
            self.malformed += 1
            return EnqueueResult.MALFORMED
        taken = self._commits.put(record) is not None
        return EnqueueResult.DURABLE if taken else EnqueueResult.NO_ROOM

    def dequeue(self, queue: int) -> bytes | None:
        """See `mixer.state.SharedQueues`."""
        if queue == USAGE_QUEUE:
            raise UnknownQueueError(queue)
        return self._queues.dequeue(queue)

    def usage(self) -> Mapping[int, QueueUsage]:
        """See `mixer.state.SharedQueues`; the ledger's own is told by its metrics."""
        return self._queues.usage()
