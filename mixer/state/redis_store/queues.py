"""Shared queues in Redis.

The id of a queue follows from its ``vm_id`` and name, so that it is the same again on a server that
lost its data: modules keep ids for as long as they live.
"""

from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b

from mixer.state.limits import TOLD_AT_ONCE, StateLimits
from mixer.state.ports import EnqueueResult, Notify, Post, QueueUsage, UnknownQueueError
from mixer.state.redis_store.client import MAX_SENT_BYTES, RedisClient
from mixer.state.redis_store.scripts import script
from mixer.state.redis_store.worker import KEPT_MS, RedisWorker

_REGISTER = script("queue_register")
_ENQUEUE = script("queue_enqueue")
_DEQUEUE = script("queue_dequeue")
_USAGE = script("queue_usage")
_RESOLVE = "return redis.call('HGET', KEYS[1], ARGV[1])"

_RESULTS = (EnqueueResult.NOT_FOUND, EnqueueResult.FULL, EnqueueResult.OK, EnqueueResult.OK)
_TELL_HERE = 3
_HIGHEST_ID = 0xFFFF_FFFF


class RedisSharedQueues:
    """`mixer.state.SharedQueues` for many hosts.

    Args:
        client: Reaches the server.
        limits: Of each ``vm_id``.
        post: Brings notifications from other processes into the thread of the stores' user.
    """

    def __init__(self, client: RedisClient, limits: StateLimits, post: Post) -> None:
        self._client = client
        self._limits = limits
        self._told: dict[int, Notify] = {}
        self._refused: Counter[int] = Counter()
        self._closed = False
        self._worker = RedisWorker(client, post, self._tell)

    def register(self, vm_id: str, name: bytes, notify: Notify) -> int | None:
        """See `mixer.state.SharedQueues`."""
        label = _label(vm_id, name)
        made = self._client.run(
            _REGISTER,
            self._worker.tables,
            *(label, vm_id, _wanted_id(label), self._limits.max_queues, self._worker.id),
        )
        if made is None:
            return None
        queue, since = made
        self._told[queue] = notify
        self._worker.registered(queue, label, vm_id, since)
        return int(queue)

    def resolve(self, vm_id: str, name: bytes) -> int | None:
        """See `mixer.state.SharedQueues`."""
        found = self._client.run(_RESOLVE, [self._client.key("names")], _label(vm_id, name))
        return None if found is None else int(found)

    def enqueue(self, queue: int, message: bytes) -> EnqueueResult:
        """See `mixer.state.SharedQueues`."""
        if len(message) > MAX_SENT_BYTES:
            self._refused[queue] += 1
            return EnqueueResult.FULL
        number = self._enqueue(queue, message)
        if _RESULTS[number] is EnqueueResult.NOT_FOUND and self._worker.restore(queue):
            number = self._enqueue(queue, message)
        if number == _TELL_HERE:
            self._told[queue](queue)
        elif _RESULTS[number] is EnqueueResult.FULL:
            self._refused[queue] += 1
        return _RESULTS[number]

    def _enqueue(self, queue: int, message: bytes) -> int:
        key, limits = self._client.key, self._limits
        return int(
            self._client.run(
                _ENQUEUE,
                [key("messages", str(queue)), *map(key, ("queues", "queue-sizes", "owners"))],
                *(queue, message, limits.max_queue_length, limits.max_queue_bytes),
                *(self._worker.id, key("mail", ""), key("wake", ""), KEPT_MS),
            )
        )

    def dequeue(self, queue: int) -> bytes | None:
        """See `mixer.state.SharedQueues`."""
        message: bytes | int | None = self._dequeue(queue)
        if message == 0 and self._worker.restore(queue):
            message = self._dequeue(queue)
        if isinstance(message, int):
            raise UnknownQueueError(queue)
        return message

    def _dequeue(self, queue: int) -> bytes | int | None:
        key = self._client.key
        keys = [key("messages", str(queue)), key("queues"), key("queue-sizes")]
        found: bytes | int | None = self._client.run(_DEQUEUE, keys, queue)
        return found

    def usage(self) -> Mapping[int, QueueUsage]:
        """See `mixer.state.SharedQueues`."""
        keys = [self._client.key("queues"), self._client.key("queue-sizes")]
        rows = self._client.run(_USAGE, keys, self._client.key("messages", ""))
        return {
            queue: QueueUsage(*_read_label(label), length, size, self._refused[queue])
            for queue, label, length, size in rows
        }

    def _tell(self, mail: Mapping[int, int]) -> None:
        """Tell this process' plugins what other processes put in."""
        for queue, times in mail.items():
            for _ in range(min(times, TOLD_AT_ONCE)):
                if not self._closed:
                    self._told[queue](queue)

    def close(self) -> None:
        """Be told of nothing more; what is in the queues stays there."""
        self._closed = True
        self._worker.close()


def _label(vm_id: str, name: bytes) -> bytes:
    vm = vm_id.encode()
    return b"%d:%b%b" % (len(vm), vm, name)


def _read_label(label: bytes) -> tuple[str, bytes]:
    size, _, rest = label.partition(b":")
    return rest[: int(size)].decode(), rest[int(size) :]


def _wanted_id(label: bytes) -> int:
    return int.from_bytes(blake2b(label, digest_size=4).digest(), "big") % _HIGHEST_ID + 1
