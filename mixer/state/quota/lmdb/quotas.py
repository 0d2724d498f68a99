"""Counters in LMDB: a take is one transaction, so that it is exact over all processes of a host."""

import logging
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb

from mixer.state.lmdb_store.environment import digest
from mixer.state.lmdb_store.folder import opening
from mixer.state.ports import StoreError
from mixer.state.quota.bounds import QuotaLimits
from mixer.state.quota.counting import RULES, State, count
from mixer.state.quota.lmdb.table import Table, total_of
from mixer.state.quota.memory import MemoryQuotas
from mixer.state.quota.ports import Algorithm, Answer, Charge, QuotaCounts, Standing, Take
from mixer.state.quota.unavailable import Fallback, OnUnavailable, fallback

_FIRST_BYTES = 16
_TIMES = struct.Struct("<QQ")
_STANDING = struct.Struct("<Q?QQQ")
_SPACE_BYTES, _NAME_BYTES = 16, 20
_COMPLAINT_SECONDS = 60.0

_log = logging.getLogger(__name__)


class LmdbQuotas:
    """`mixer.state.quota.Quotas` for the processes of one host; it answers at once.

    Args:
        folder: Of the counters alone; made where it is not there, and emptied by the first process
            after a restart of the machine.
        map_size: Bytes that its file can grow to.
        limits: Of each ``vm_id``.
        clock: Nanoseconds since the start of the machine, the same in each process. No jump of the
            wall clock changes anything here.
        unavailable: Answers where the file cannot be used.

    Attributes:
        counts: What became of takes of this process.

    Raises:
        StoreError: It cannot be opened.
    """

    def __init__(
        self,
        folder: Path,
        map_size: int,
        limits: QuotaLimits | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        unavailable: Fallback | None = None,
    ) -> None:
        self.counts = QuotaCounts()
        self._folder = folder
        self._limit = (limits or QuotaLimits()).max_counters
        self._clock = clock
        self._unavailable = unavailable or fallback(OnUnavailable.LOCAL, MemoryQuotas(limits))
        self._next_complaint = 0.0
        with opening(folder):
            try:
                self._open(map_size)
            except lmdb.Error as error:
                raise StoreError(f"{folder}: {error}") from error

    def _open(self, map_size: int) -> None:
        self._env = lmdb.open(
            str(self._folder), map_size=map_size, max_dbs=4, sync=False, mode=0o600
        )
        names = (b"counters", b"counters-total", b"answers", b"answers-total")
        rows, total, answers, answers_total = map(self._env.open_db, names)
        self._counters, self._answers = (rows, total), (answers, answers_total)
        self._env.reader_check()

    def take(self, vm_id: str, take: Take) -> Answer:
        """See `mixer.state.quota.Quotas`."""
        self.counts.takes += 1
        try:
            with self._begin() as txn:
                answer = self._answer(txn, digest(vm_id.encode(), _SPACE_BYTES), take)
        except lmdb.Error as error:
            answer = self._answer_locally(vm_id, take, error)
        self.counts.note(take, answer)
        return answer

    def _begin(self) -> Any:
        try:
            return self._env.begin(write=True)
        except lmdb.MapResizedError:  # another process was started with a larger one
            self._env.set_mapsize(0)
            return self._env.begin(write=True)

    def _answer(self, txn: Any, space: bytes, take: Take) -> Answer:
        now = self._clock()  # once no other process writes
        memory = Table(txn, *self._answers, space, self._limit, now)
        name = digest(b"%d:%b" % (len(take.charges), take.dedup_id), _NAME_BYTES)
        if take.dedup_id and (known := memory.get(name)) is not None:
            until, at, answer = _unpacked(known)
            if until > now:
                return answer.again(now - at)
        counters = Table(txn, *self._counters, space, self._limit, now)
        answer = _counted(counters, take, now)
        if take.dedup_id and take.dedup_window_ns:
            until = now + take.dedup_window_ns
            memory.put(name, until, _packed(until, now, answer))
        self.counts.evicted += counters.evicted
        return answer

    def _answer_locally(self, vm_id: str, take: Take, error: lmdb.Error) -> Answer:
        self.counts.store_errors += 1
        self.counts.local += 1
        now = time.monotonic()
        if now >= self._next_complaint:
            self._next_complaint = now + _COMPLAINT_SECONDS
            _log.warning("quotas in %s, %s: %s", self._folder, self._unavailable.told, error)
        return self._unavailable.answer(vm_id, take)

    def __len__(self) -> int:
        """See `mixer.state.quota.Quotas`; of all processes together, but for local ones."""
        local = self._unavailable.held()
        try:
            with self._env.begin() as txn:
                return total_of(txn, self._counters[1]) + local
        except lmdb.Error:
            return local

    def close(self) -> None:
        """See `mixer.state.quota.Quotas`."""
        self._env.close()


def _counted(counters: Table, take: Take, now: int) -> Answer:
    names = [_name(charge) for charge in take.charges]
    states = [_state(counters.get(name)) for name in names]
    found = count(take.charges, states, now, best_effort=take.best_effort)
    for name, charge, state, one in zip(names, take.charges, states, found, strict=True):
        if one.state is None and state is not None:
            counters.delete(name)
        elif one.state is not None:  # also as it was: who is refused uses it
            due = RULES[charge.algorithm].full_at(one.state, charge.window_ns)
            counters.put(name, due, _record(one.state))
    return Answer(tuple([one.standing for one in found]))


def _name(charge: Charge) -> bytes:
    fixed = charge.algorithm is Algorithm.FIXED_WINDOW
    return digest((b"f" if fixed else b"r") + charge.key, _NAME_BYTES)


def _record(state: State) -> bytes:
    first, *rest = state
    return first.to_bytes(_FIRST_BYTES, "little") + struct.pack(f"<{len(rest)}Q", *rest)


def _state(record: bytes | None) -> State | None:
    if record is None:
        return None
    rest = record[_FIRST_BYTES:]
    first = int.from_bytes(record[:_FIRST_BYTES], "little")
    return first, *struct.unpack(f"<{len(rest) // 8}Q", rest)


def _packed(until: int, at: int, answer: Answer) -> bytes:
    return _TIMES.pack(until, at) + b"".join([_STANDING.pack(*one) for one in answer.standings])


def _unpacked(data: bytes) -> tuple[int, int, Answer]:
    standings = _STANDING.iter_unpack(data[_TIMES.size :])
    return *_TIMES.unpack_from(data), Answer(tuple(Standing(*one) for one in standings))
