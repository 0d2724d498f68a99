"""Shared queues in the memory of this process."""

from collections import deque
from collections.abc import Mapping

from mixer.state.limits import StateLimits
from mixer.state.ports import EnqueueResult, Notify, QueueUsage, UnknownQueueError


class _Queue:
    """One queue."""

    __slots__ = ("messages", "name", "notify", "refused", "size", "vm_id")

    def __init__(self, vm_id: str, name: bytes, notify: Notify) -> None:
        self.vm_id = vm_id
        self.name = name
        self.notify = notify
        self.messages: deque[bytes] = deque()
        self.size = 0
        self.refused = 0


class MemorySharedQueues:
    """`mixer.state.SharedQueues` for one thread.

    Args:
        limits: Of each ``vm_id``.
    """

    def __init__(self, limits: StateLimits | None = None) -> None:
        self._limits = limits or StateLimits()
        self._ids: dict[str, dict[bytes, int]] = {}
        self._queues: dict[int, _Queue] = {}

    def register(self, vm_id: str, name: bytes, notify: Notify) -> int | None:
        """See `mixer.state.SharedQueues`."""
        ids = self._ids.setdefault(vm_id, {})
        known = ids.get(name)
        if known is not None:
            self._queues[known].notify = notify
            return known
        if len(ids) >= self._limits.max_queues:
            return None
        number = ids[name] = len(self._queues) + 1
        self._queues[number] = _Queue(vm_id, name, notify)
        return number

    def resolve(self, vm_id: str, name: bytes) -> int | None:
        """See `mixer.state.SharedQueues`."""
        return self._ids.get(vm_id, {}).get(name)

    def enqueue(self, queue: int, message: bytes) -> EnqueueResult:
        """See `mixer.state.SharedQueues`."""
        found = self._queues.get(queue)
        if found is None:
            return EnqueueResult.NOT_FOUND
        if not self._fits(found, len(message)):
            found.refused += 1
            return EnqueueResult.FULL
        found.messages.append(message)
        found.size += len(message)
        found.notify(queue)
        return EnqueueResult.OK

    def _fits(self, queue: _Queue, more: int) -> bool:
        limits = self._limits
        return (
            len(queue.messages) < limits.max_queue_length
            and queue.size + more <= limits.max_queue_bytes
        )

    def dequeue(self, queue: int) -> bytes | None:
        """See `mixer.state.SharedQueues`."""
        found = self._queues.get(queue)
        if found is None:
            raise UnknownQueueError(queue)
        if not found.messages:
            return None
        message = found.messages.popleft()
        found.size -= len(message)
        return message

    def usage(self) -> Mapping[int, QueueUsage]:
        """See `mixer.state.SharedQueues`."""
        return {
            number: QueueUsage(q.vm_id, q.name, len(q.messages), q.size, q.refused)
            for number, q in self._queues.items()
        }
