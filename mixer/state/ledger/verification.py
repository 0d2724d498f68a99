"""Whether a ledger is as it was written.

The chain shows that a row was changed, taken out, put in or moved. Whoever can write to the ledger
could calculate the chain anew, and take rows from its end and correct the head: only a head that
was noted elsewhere shows that.
"""

import re
from collections.abc import Callable

from mixer.state.ledger.chain import GENESIS, next_digest
from mixer.state.ledger.entries import MalformedEntryError, key_of, read_entry, time_of
from mixer.state.ledger.ports import Head, LedgerReader, Row

_PROGRESS_ROWS = 1000
_HEAD = re.compile(r"([0-9]{1,19}):([0-9a-fA-F]{64})")
_LOWEST = -(1 << 63)
"""That a database has for a position: what was put below the first row must show too."""


class BrokenChainError(Exception):
    """A ledger is not as it was written; the message says from which row on, and why."""


def verify(
    reader: LedgerReader,
    noted: Head | None = None,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Head:
    """Verify a ledger up to the head that it has when this begins; it may grow meanwhile.

    Args:
        reader: Of the ledger.
        noted: A head that it had, as an earlier call returned it.
        progress: Told how many rows were looked at, and how many there are.

    Returns:
        The head.

    Raises:
        BrokenChainError: It is not as it was written.
        LedgerUnavailableError: It cannot be read.
    """
    last, told = reader.last(), reader.head()
    if last > told.position:
        raise BrokenChainError(f"row {told.position + 1}: it is behind the head of the ledger")
    if noted is not None and noted.position > told.position:
        raise BrokenChainError(
            f"row {told.position + 1}: it is missing: the ledger ends before it, and had"
            f" {noted.position} rows when the head was noted"
        )
    head = _follow(reader, told, noted, progress)
    if head.position < told.position:
        raise BrokenChainError(
            f"row {head.position + 1}: it is missing, and all after it up to {told.position}"
        )
    if head.digest != told.digest:
        raise BrokenChainError(f"row {told.position}: the head of the ledger is of another row")
    return head


def _follow(
    reader: LedgerReader, told: Head, noted: Head | None, progress: Callable[[int, int], None]
) -> Head:
    head = GENESIS
    _compare(head, noted)
    for row in reader.rows(_LOWEST - 1):
        if row.position > told.position:
            break
        head = _next(head, row)
        _compare(head, noted)
        if row.position % _PROGRESS_ROWS == 0:
            progress(row.position, told.position)
    return head


def _next(head: Head, row: Row) -> Head:
    position = head.position + 1
    if row.position < 1:
        raise BrokenChainError(f"row {row.position}: it was put in, before the first one")
    if row.position != position:
        raise BrokenChainError(f"row {position}: it is missing; the next one is {row.position}")
    if next_digest(head.digest, position, row.entry) != row.digest:
        raise BrokenChainError(f"row {position}: its digest is not that of its entry and place")
    try:
        entry = read_entry(row.entry)
    except MalformedEntryError as error:
        raise BrokenChainError(f"row {position}: {error}") from None
    if (row.key, row.time) != (key_of(entry), time_of(entry)):
        raise BrokenChainError(f"row {position}: its key or its time is not that of its entry")
    return Head(position, row.digest)


def _compare(head: Head, noted: Head | None) -> None:
    if noted is not None and head.position == noted.position and head.digest != noted.digest:
        raise BrokenChainError(
            f"row {head.position}: its digest is not the one that was noted: this row or one before"
            " it was written anew"
        )


def parse_head(text: str) -> Head:
    """Read a head as it is written, ``POSITION:DIGEST``. Raises ValueError."""
    found = _HEAD.fullmatch(text)
    if found is None:
        raise ValueError("must be POSITION:DIGEST, a number and 64 hexadecimal digits")
    return Head(int(found[1]), bytes.fromhex(found[2]))
