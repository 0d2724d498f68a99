"""Rows of a table that are there for a time, within a bound for each ``vm_id``."""

import struct
from typing import Any

from mixer.state.lmdb_store.environment import stored

LOOKED_AT = 16
"""How many rows are looked at where there are too many: one of them goes."""

CLEARED_AT_ONCE = 2
"""How many are looked at for each new one, to clear away those that are due."""

_HEAD = struct.Struct("<QQ")
_TOTAL = struct.Struct("<Q")


class Table:
    """One table within one transaction, for one ``vm_id``.

    A row is kept under the id of the ``vm_id`` and a digest, so that those which follow any place
    are a random sample of all.

    Args:
        txn: The transaction, which writes.
        rows: The table.
        totals: How many rows each ``vm_id`` has in it.
        space: The id of the ``vm_id``.
        limit: Of the rows.
        now: Nanoseconds.

    Attributes:
        evicted: How many rows went that were not due.
    """

    def __init__(
        self, txn: Any, rows: Any, totals: Any, space: bytes, limit: int, now: int
    ) -> None:
        self._txn = txn
        self._rows = rows
        self._totals = totals
        self._space = space
        self._limit = limit
        self._now = now
        self.evicted = 0

    def get(self, name: bytes) -> bytes | None:
        """What a row has, due or not."""
        found = stored(self._txn, self._space + name, self._rows)
        return None if found is None else found[_HEAD.size :]

    def put(self, name: bytes, due: int, content: bytes) -> None:
        """Keep a row until a time at least, unless others need the room."""
        key = self._space + name
        total = self._total()
        if self._txn.get(key, db=self._rows) is None:
            total += 1 - self._make_room(key, total)
            self._set_total(total)
        self._txn.put(key, _HEAD.pack(due, self._now) + content, db=self._rows)

    def delete(self, name: bytes) -> None:
        """Remove a row, if it is there."""
        if self._txn.delete(self._space + name, db=self._rows):
            self._set_total(self._total() - 1)

    def _total(self) -> int:
        found = stored(self._txn, self._space, self._totals)
        return 0 if found is None else int(_TOTAL.unpack(found)[0])

    def _set_total(self, total: int) -> None:
        self._txn.put(self._space, _TOTAL.pack(total), db=self._totals)

    def _make_room(self, key: bytes, total: int) -> int:
        """Clear away what is due near a key, or the least recently used; how many went."""
        sample = self._sample(key, LOOKED_AT if total >= self._limit else CLEARED_AT_ONCE)
        gone = [name for name, due, _ in sample if due <= self._now]
        if total - len(gone) >= self._limit:
            gone = [min(sample, key=lambda row: row[2])[0]]
            self.evicted += 1
        for name in gone:
            self._txn.delete(name, db=self._rows)
        return len(gone)

    def _sample(self, key: bytes, number: int) -> list[tuple[bytes, int, int]]:
        """Rows that follow a key, from the first one on after the last: key, due and used."""
        found: list[tuple[bytes, int, int]] = []
        with self._txn.cursor(self._rows) as cursor:
            for start in (key, self._space):
                going = cursor.set_range(start)
                while going and len(found) < number:
                    name = bytes(cursor.key())
                    if not name.startswith(self._space) or (found and name == found[0][0]):
                        break
                    found.append((name, *_HEAD.unpack_from(cursor.value())))
                    going = cursor.next()
        return found


def total_of(txn: Any, totals: Any) -> int:
    """How many rows all have."""
    with txn.cursor(totals) as cursor:
        return sum(_TOTAL.unpack(value)[0] for _, value in cursor)
