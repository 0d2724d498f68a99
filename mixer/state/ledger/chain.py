"""The chain of hashes: every row stands for all before it."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from mixer.state.ledger.ports import Appended, Head, Record, Row

GENESIS = Head(0, bytes(32))
"""The head of a ledger without rows."""


def next_digest(previous: bytes, position: int, entry: bytes) -> bytes:
    """The digest of a row: SHA-256 over the one before, 8 bytes of position, and the entry."""
    return sha256(previous + position.to_bytes(8, "big") + entry).digest()


class Batch(NamedTuple):
    """What one commit writes.

    Attributes:
        rows: New ones, in order.
        appended: What comes of it once it is committed.
    """

    rows: list[Row]
    appended: Appended


def link(head: Head, known: Mapping[bytes, bytes], records: Sequence[Record]) -> Batch:
    """Put records at the end of the chain, but for those that are there.

    Args:
        head: The last row.
        known: Entries that are there, by key; at least those whose keys the records have.
        records: In order.
    """
    position, digest = head
    seen = dict(known)
    rows, conflicts = list[Row](), list[bytes]()
    for key, entry, time in records:
        there = seen.get(key)
        if there is not None:
            if there != entry:
                conflicts.append(key)
            continue
        seen[key] = entry
        position += 1
        digest = next_digest(digest, position, entry)
        rows.append(Row(position, key, time, entry, digest))
    duplicates = len(records) - len(rows) - len(conflicts)
    return Batch(rows, Appended(Head(position, digest), len(rows), duplicates, tuple(conflicts)))
