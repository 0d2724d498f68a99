"""Shared queues in LMDB.

A queue is a record, and its messages under its id and their number. Who registered it last is in
the record: that process is told by a row in the table ``mail``, and woken by its pipe.
"""

import struct
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile

import lmdb

from mixer.state.limits import TOLD_AT_ONCE, StateLimits
from mixer.state.lmdb_store.data import space_id
from mixer.state.lmdb_store.environment import LmdbEnvironment, digest, stored
from mixer.state.ports import EnqueueResult, Notify, Post, QueueUsage, UnknownQueueError

_RECORD = struct.Struct("<QQQQI")
_HIGHEST_ID = 0xFFFF_FFFF
_NOBODY = 0


@dataclass(slots=True)
class _Queue:
    """One queue, for the time of a transaction.

    Attributes:
        head: Number of the oldest message.
        tail: Number that the next message gets.
        size: Bytes of its messages.
        owner: The worker that registered it last.
        vm_size: Bytes of its ``vm_id``, which ``label`` begins with.
        label: ``vm_id`` and name.
    """

    head: int
    tail: int
    size: int
    owner: int
    vm_size: int
    label: bytes

    @classmethod
    def read(cls, packed: bytes) -> "_Queue":
        head, tail, size, owner, vm_size = _RECORD.unpack_from(packed)
        return cls(head, tail, size, owner, vm_size, packed[_RECORD.size :])

    def packed(self) -> bytes:
        record = _RECORD.pack(self.head, self.tail, self.size, self.owner, self.vm_size)
        return record + self.label


class LmdbSharedQueues:
    """`mixer.state.SharedQueues` for the processes of one host.

    Args:
        environment: Where they are kept.
        limits: Of each ``vm_id``.
        post: Brings notifications from other processes into the thread of the stores' user.
    """

    def __init__(self, environment: LmdbEnvironment, limits: StateLimits, post: Post) -> None:
        self._env = environment
        self._limits = limits
        self._told: dict[int, Notify] = {}
        self._refused: Counter[int] = Counter()
        self._closed = False
        self._forget_dead()
        environment.pipe.listen(post, self._deliver)

    def _forget_dead(self) -> None:
        """Drop what is to be told to processes that are gone; the messages stay."""
        with self._env.begin(write=True) as txn, txn.cursor(self._env.mail) as cursor:
            keys = cursor.iternext(keys=True, values=False)
            workers = {int.from_bytes(key[:8], "big") for key in keys}
            for worker in workers - self._env.living():
                self._take_mail(txn, worker)

    def register(self, vm_id: str, name: bytes, notify: Notify) -> int | None:
        """See `mixer.state.SharedQueues`."""
        try:
            with self._env.begin(write=True) as txn:
                number = self._find(txn, vm_id, name) or self._make(txn, vm_id, name)
                if number is not None and (queue := self._read(txn, number)) is not None:
                    queue.owner = self._env.worker
                    self._write(txn, number, queue)
        except lmdb.MapFullError:
            self._env.is_full()
            return None
        except lmdb.Error as error:
            raise self._env.unavailable(error) from error
        if number is not None:
            self._told[number] = notify
        return number

    def _find(self, txn: lmdb.Transaction, vm_id: str, name: bytes) -> int | None:
        found = stored(txn, space_id(vm_id) + digest(name, 32), self._env.names)
        return None if found is None else int.from_bytes(found, "big")

    def _make(self, txn: lmdb.Transaction, vm_id: str, name: bytes) -> int | None:
        with txn.cursor(self._env.queues) as cursor:
            number = int.from_bytes(cursor.key(), "big") + 1 if cursor.last() else 1
        vm = vm_id.encode()
        queue = _Queue(0, 0, 0, _NOBODY, len(vm), vm + name)
        if (
            self._count(txn, vm_id) >= self._limits.max_queues
            or number > _HIGHEST_ID
            or not self._env.has_room(txn, len(queue.label))
        ):
            return None
        key = space_id(vm_id) + digest(name, 32)
        txn.put(key, number.to_bytes(4, "big"), db=self._env.names)
        self._write(txn, number, queue)
        return number

    def _count(self, txn: lmdb.Transaction, vm_id: str) -> int:
        space = space_id(vm_id)
        with txn.cursor(self._env.names) as cursor:
            if not cursor.set_range(space):
                return 0
            keys = cursor.iternext(keys=True, values=False)
            return len(list(takewhile(lambda key: key[: len(space)] == space, keys)))

    def resolve(self, vm_id: str, name: bytes) -> int | None:
        """See `mixer.state.SharedQueues`."""
        try:
            with self._env.begin() as txn:
                return self._find(txn, vm_id, name)
        except lmdb.Error as error:
            raise self._env.unavailable(error) from error

    def enqueue(self, queue: int, message: bytes) -> EnqueueResult:
        """See `mixer.state.SharedQueues`."""
        owner = _NOBODY
        try:
            with self._env.begin(write=True) as txn:
                found = self._read(txn, queue)
                result = self._accept(txn, found, len(message))
                if result is EnqueueResult.OK and found is not None:
                    owner = found.owner
                    self._append(txn, queue, found, message)
        except lmdb.MapFullError:
            self._env.is_full()
            result = EnqueueResult.FULL
        except lmdb.Error as error:
            raise self._env.unavailable(error) from error
        if result is EnqueueResult.OK:
            self._tell(owner, queue)
        elif result is EnqueueResult.FULL:
            self._refused[queue] += 1
        return result

    def _accept(self, txn: lmdb.Transaction, queue: _Queue | None, size: int) -> EnqueueResult:
        if queue is None:
            return EnqueueResult.NOT_FOUND
        fits = (
            queue.tail - queue.head < self._limits.max_queue_length
            and queue.size + size <= self._limits.max_queue_bytes
            and self._env.has_room(txn, size)
        )
        return EnqueueResult.OK if fits else EnqueueResult.FULL

    def _append(self, txn: lmdb.Transaction, number: int, queue: _Queue, message: bytes) -> None:
        txn.put(_message(number, queue.tail), message, db=self._env.messages)
        queue.tail += 1
        queue.size += len(message)
        self._write(txn, number, queue)
        if queue.owner not in (_NOBODY, self._env.worker):
            row = _mail(queue.owner, number)
            waiting = int.from_bytes(stored(txn, row, self._env.mail) or b"", "big")
            txn.put(row, (waiting + 1).to_bytes(8, "big"), db=self._env.mail)

    def _tell(self, owner: int, queue: int) -> None:
        if owner == self._env.worker:
            self._told[queue](queue)
        elif owner != _NOBODY:
            self._env.pipe.wake(owner)

    def dequeue(self, queue: int) -> bytes | None:
        """See `mixer.state.SharedQueues`."""
        try:
            with self._env.begin(write=True) as txn:
                found = self._read(txn, queue)
                if found is None:
                    raise UnknownQueueError(queue)
                if found.head == found.tail:
                    return None
                message = txn.pop(_message(queue, found.head), db=self._env.messages) or b""
                found.head += 1
                found.size -= len(message)
                self._write(txn, queue, found)
        except lmdb.Error as error:
            raise self._env.unavailable(error) from error
        return message

    def usage(self) -> Mapping[int, QueueUsage]:
        """See `mixer.state.SharedQueues`."""
        try:
            with self._env.begin() as txn, txn.cursor(self._env.queues) as cursor:
                rows = [(int.from_bytes(k, "big"), _Queue.read(bytes(v))) for k, v in cursor]
        except lmdb.Error as error:
            raise self._env.unavailable(error) from error
        return {number: self._usage(number, queue) for number, queue in rows}

    def _usage(self, number: int, queue: _Queue) -> QueueUsage:
        vm_id = queue.label[: queue.vm_size].decode()
        name = queue.label[queue.vm_size :]
        length = queue.tail - queue.head
        return QueueUsage(vm_id, name, length, queue.size, self._refused[number])

    def _deliver(self) -> None:
        """Tell this process' plugins what other processes put in."""
        if self._closed:
            return
        try:
            with self._env.begin(write=True) as txn:
                rows = self._take_mail(txn, self._env.worker)
        except lmdb.Error as error:
            self._env.unavailable(error)
            return
        for queue, times in rows:
            for _ in range(min(times, TOLD_AT_ONCE)):
                self._told[queue](queue)

    def _take_mail(self, txn: lmdb.Transaction, worker: int) -> list[tuple[int, int]]:
        first, rows = _mail(worker, 0), []
        with txn.cursor(self._env.mail) as cursor:
            while cursor.set_range(first) and cursor.key()[:8] == first[:8]:
                queue, times = cursor.key()[8:], cursor.value()
                rows.append((int.from_bytes(queue, "big"), int.from_bytes(times, "big")))
                cursor.delete()
        return rows

    def close(self) -> None:
        """Be told of nothing more; what is in the queues stays there."""
        self._closed = True
        with suppress(lmdb.Error), self._env.begin(write=True) as txn:
            self._take_mail(txn, self._env.worker)
            for number in self._told:
                queue = self._read(txn, number)
                if queue is not None and queue.owner == self._env.worker:
                    queue.owner = _NOBODY
                    self._write(txn, number, queue)

    def _read(self, txn: lmdb.Transaction, number: int) -> _Queue | None:
        key = (number & _HIGHEST_ID).to_bytes(4, "big")
        found = stored(txn, key, self._env.queues)
        return None if found is None else _Queue.read(found)

    def _write(self, txn: lmdb.Transaction, number: int, queue: _Queue) -> None:
        txn.put(number.to_bytes(4, "big"), queue.packed(), db=self._env.queues)


def _message(queue: int, number: int) -> bytes:
    return queue.to_bytes(4, "big") + number.to_bytes(8, "big")


def _mail(worker: int, queue: int) -> bytes:
    return worker.to_bytes(8, "big") + queue.to_bytes(4, "big")
