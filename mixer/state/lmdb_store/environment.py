"""The file of a store: its tables, its room, and what becomes of its errors."""

import logging
import time
from hashlib import blake2b
from pathlib import Path
from typing import Any

import lmdb

from mixer.state.lmdb_store.folder import opening
from mixer.state.lmdb_store.wake import WakePipe, remove_dead, workers
from mixer.state.ports import StoreError, StoreUnavailableError

_log = logging.getLogger(__name__)

_RESERVED_SHARE = 32
_RESERVED_PAGES = 128
_OVERHEAD = 512
_COMPLAINT_SECONDS = 60.0


class LmdbEnvironment:
    """The tables that shared data and queues are made of, open in this process.

    Args:
        folder: Of the store.
        map_size: Bytes that it can grow to.

    Attributes:
        worker: The number of this process among all that ever opened the store.
        pipe: Has this process told of what others put in for it.

    Raises:
        StoreError: It cannot be opened.
    """

    def __init__(self, folder: Path, map_size: int) -> None:
        self._folder = folder
        self._next_complaint = 0.0
        with opening(folder):
            try:
                self._env = lmdb.open(
                    str(folder), map_size=map_size, max_dbs=8, sync=False, mode=0o600
                )
            except lmdb.Error as error:
                raise StoreError(f"{folder}: {error}") from error
            try:
                self._open()
            except BaseException as error:
                self._env.close()
                if isinstance(error, lmdb.Error | OSError):
                    raise StoreError(f"{folder}: {error}") from error
                raise

    def _open(self) -> None:
        env = self._env
        tables = [env.open_db(name) for name in (b"spaces", b"data", b"expiry", b"queues")]
        self.spaces, self.data, self.expiry, self.queues = tables
        self.names, self.messages, self.mail = (
            env.open_db(name) for name in (b"names", b"messages", b"mail")
        )
        self._growing = (self.data, self.expiry, self.messages)
        self._page = env.stat()["psize"]
        self._measure()
        env.reader_check()
        remove_dead(self._folder)
        with env.begin(write=True) as txn:
            self.worker = txn.id()
            txn.put(b"worker", self.worker.to_bytes(8, "big"))  # so that the number is taken
        self.pipe = WakePipe(self._folder, self.worker)

    def _measure(self) -> None:
        self._pages = self._env.info()["map_size"] // self._page
        self._reserved = _RESERVED_PAGES + self._pages // _RESERVED_SHARE

    def begin(self, *, write: bool = False) -> Any:
        """A transaction; raises lmdb.Error."""
        try:
            return self._env.begin(write=write)
        except lmdb.MapResizedError:  # another process was started with a larger one
            self._env.set_mapsize(0)
            self._measure()
            return self._env.begin(write=write)

    def living(self) -> set[int]:
        """The workers that have the store open, and those whose death nobody noticed yet."""
        return workers(self._folder)

    def has_room(self, txn: lmdb.Transaction, size: int) -> bool:
        """Whether so many bytes more leave enough pages for taking something out again.

        LMDB writes a changed page anew: in a file that is full to the last page, nothing could be
        removed any more.
        """
        wanted = (size + _OVERHEAD) // self._page + self._reserved
        if self._env.info()["last_pgno"] + wanted < self._pages:
            return True
        return self._used(txn) + wanted < self._pages

    def _used(self, txn: lmdb.Transaction) -> int:
        stats = (txn.stat(table) for table in self._growing)
        return sum(s["branch_pages"] + s["leaf_pages"] + s["overflow_pages"] for s in stats)

    def is_full(self) -> None:
        """Free what killed processes were reading: their snapshots keep pages from being used."""
        self._env.reader_check()

    def unavailable(self, error: lmdb.Error) -> StoreUnavailableError:
        """What to raise for an error of the file; it is logged, if none was a moment ago."""
        now = time.monotonic()
        if now >= self._next_complaint:
            self._next_complaint = now + _COMPLAINT_SECONDS
            _log.warning("shared state in %s: %s", self._folder, error)
        if isinstance(error, lmdb.MapFullError):
            self.is_full()
        return StoreUnavailableError(f"{self._folder}: {error}")

    def close(self) -> None:
        """Unmap the file."""
        self.pipe.close()
        self._env.close()


def stored(txn: lmdb.Transaction, key: bytes, table: Any) -> bytes | None:
    """What a table has under a key."""
    found = txn.get(key, db=table)
    return None if found is None else bytes(found)


def digest(name: bytes, size: int) -> bytes:
    """Stands for a name of any length in a table, whose keys have at most 511 bytes."""
    return blake2b(name, digest_size=size).digest()
