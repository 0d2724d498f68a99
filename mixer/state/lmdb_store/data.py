"""Shared data in LMDB.

A key is kept under a digest of its ``vm_id`` and one of its own, as a record and the value behind
it. The number to compare is that of the transaction that set it: no two sets have the same one,
whatever process they are from.
"""

import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

import lmdb

from mixer.state.limits import CLEARED_AT_ONCE, StateLimits
from mixer.state.lmdb_store.environment import LmdbEnvironment, digest, stored
from mixer.state.ports import DataUsage, Entry, SetResult

_RECORD = struct.Struct("<IQI")
_SPACE = struct.Struct("<QQ")
_HIGHEST_CAS = 0xFFFF_FFFF
_SPACE_BYTES = 16


class _Record(NamedTuple):
    """What is kept with a value: ``expires`` in Unix milliseconds, 0 for never."""

    cas: int
    expires: int
    key_size: int


class _Space:
    """What one ``vm_id`` has, for the time of a transaction."""

    __slots__ = ("id", "keys", "size", "vm_id")

    def __init__(self, vm_id: str, found: bytes | None) -> None:
        self.id = space_id(vm_id)
        self.vm_id = vm_id
        self.keys, self.size = _SPACE.unpack_from(found) if found else (0, 0)

    def packed(self) -> bytes:
        return _SPACE.pack(self.keys, self.size) + self.vm_id.encode()


class LmdbSharedData:
    """`mixer.state.SharedData` for the processes of one host.

    Args:
        environment: Where it is kept.
        limits: Of each ``vm_id``.
        clock: Seconds since the Unix epoch.
    """

    def __init__(
        self,
        environment: LmdbEnvironment,
        limits: StateLimits,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._env = environment
        self._limits = limits
        self._clock = clock
        self._refused: Counter[str] = Counter()
        self._expired: Counter[str] = Counter()

    def get(self, vm_id: str, key: bytes) -> Entry | None:
        """See `mixer.state.SharedData`."""
        try:
            with self._env.begin() as txn:
                found = stored(txn, space_id(vm_id) + digest(key, 32), self._env.data)
        except lmdb.Error as error:
            raise self._env.unavailable(error) from error
        if found is None:
            return None
        cas, expires, _ = _RECORD.unpack_from(found)
        if expires and expires <= self._now():
            return None
        return Entry(found[_RECORD.size :], cas)

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def set(self, vm_id: str, key: bytes, value: bytes, cas: int = 0) -> SetResult:
        """See `mixer.state.SharedData`."""
        try:
            with self._env.begin(write=True) as txn:
                one = _Set(self._env, txn, vm_id, self._limits, self._now())
                result = one.run(key, value, cas)
            self._expired[vm_id] += one.cleared
        except lmdb.MapFullError:
            self._env.is_full()
            result = SetResult.FULL
        except lmdb.Error as error:
            raise self._env.unavailable(error) from error
        self._refused[vm_id] += result is SetResult.FULL
        return result

    def usage(self) -> Mapping[str, DataUsage]:
        """See `mixer.state.SharedData`."""
        try:
            with self._env.begin() as txn, txn.cursor(self._env.spaces) as cursor:
                rows = [bytes(value) for _, value in cursor]
        except lmdb.Error as error:
            raise self._env.unavailable(error) from error
        found = {one[_SPACE.size :].decode(): _SPACE.unpack_from(one) for one in rows}
        found |= {vm_id: (0, 0) for vm_id, n in self._refused.items() if n and vm_id not in found}
        return {
            vm_id: DataUsage(keys, size, self._refused[vm_id], self._expired[vm_id])
            for vm_id, (keys, size) in found.items()
        }


class _Set:
    """One set, within its transaction."""

    def __init__(
        self,
        env: LmdbEnvironment,
        txn: lmdb.Transaction,
        vm_id: str,
        limits: StateLimits,
        now: int,
    ) -> None:
        self._env = env
        self._txn = txn
        self._limits = limits
        self._now = now
        self._space = _Space(vm_id, stored(txn, space_id(vm_id), env.spaces))
        self.cleared = 0

    def run(self, key: bytes, value: bytes, cas: int) -> SetResult:
        """See `mixer.state.SharedData`."""
        name = digest(key, 32)
        old = self._live(name)
        if old is not None and cas not in (0, _RECORD.unpack_from(old)[0]):
            return SetResult.CAS_MISMATCH
        size = len(key) + len(value)
        more = size if old is None else len(value) - (len(old) - _RECORD.size)
        self._clear_due(more, is_new=old is None)
        done = SetResult.FULL
        has_room = more <= 0 or self._env.has_room(self._txn, size)
        if has_room and self._fits(more, is_new=old is None):
            self._put(name, old, key, value)
            self._space.keys += old is None
            self._space.size += more
            done = SetResult.OK
        if self.cleared or done is SetResult.OK:
            self._txn.put(self._space.id, self._space.packed(), db=self._env.spaces)
        return done

    def _live(self, name: bytes) -> bytes | None:
        """What is stored under a name, unless it has expired: it is cleared away then."""
        found = self._stored(name)
        if found is None or not 0 < _RECORD.unpack_from(found)[1] <= self._now:
            return found
        self._clear(name, found)
        return None

    def _stored(self, name: bytes) -> bytes | None:
        return stored(self._txn, self._space.id + name, self._env.data)

    def _fits(self, more: int, *, is_new: bool) -> bool:
        if is_new and self._space.keys >= self._limits.max_keys:
            return False
        return more <= 0 or self._space.size + more <= self._limits.max_data_bytes

    def _clear_due(self, more: int, *, is_new: bool) -> None:
        """Clear some that expired, the oldest first: as many more as it takes to make room."""
        with self._txn.cursor(self._env.expiry) as cursor:
            while cursor.set_range(self._space.id):
                row = bytes(cursor.key())
                expires, name = int.from_bytes(row[16:24], "big"), row[24:]
                if row[:16] != self._space.id or expires > self._now:
                    return
                if self.cleared >= CLEARED_AT_ONCE and self._fits(more, is_new=is_new):
                    return
                if (found := self._stored(name)) is not None:
                    self._clear(name, found)

    def _clear(self, name: bytes, found: bytes) -> None:
        record = _Record._make(_RECORD.unpack_from(found))
        self._txn.delete(self._space.id + name, db=self._env.data)
        self._forget_expiry(name, record)
        self._space.keys -= 1
        self._space.size -= record.key_size + len(found) - _RECORD.size
        self.cleared += 1

    def _forget_expiry(self, name: bytes, record: _Record) -> None:
        if record.expires:
            row = self._space.id + record.expires.to_bytes(8, "big") + name
            self._txn.delete(row, db=self._env.expiry)

    def _put(self, name: bytes, old: bytes | None, key: bytes, value: bytes) -> None:
        ttl = self._limits.ttl
        expires = 0 if ttl is None else self._now + max(1, int(ttl * 1000))
        cas = (self._txn.id() - 1) % _HIGHEST_CAS + 1
        record = _RECORD.pack(cas, expires, len(key))
        if old is not None:
            self._forget_expiry(name, _Record._make(_RECORD.unpack_from(old)))
        self._txn.put(self._space.id + name, record + value, db=self._env.data)
        if expires:
            row = self._space.id + expires.to_bytes(8, "big") + name
            self._txn.put(row, b"", db=self._env.expiry)


@lru_cache(1024)
def space_id(vm_id: str) -> bytes:
    """What the keys of a ``vm_id`` begin with."""
    return digest(vm_id.encode(), _SPACE_BYTES)
