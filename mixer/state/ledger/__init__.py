"""The ledger: usage records and price plans, append-only, each once, in a chain of hashes.

`mixer.state.ledger.sqlite` and `mixer.state.ledger.postgresql` are imported only where they are
configured.
"""

from mixer.state.ledger.chain import GENESIS, Batch, link, next_digest
from mixer.state.ledger.commits import CommitLimits, CommitStats, GroupCommit
from mixer.state.ledger.entries import MalformedEntryError, read_entry, record_of
from mixer.state.ledger.ports import (
    Appended,
    Head,
    Ledger,
    LedgerReader,
    LedgerUnavailableError,
    Record,
    Row,
)
from mixer.state.ledger.queues import USAGE_QUEUE, USAGE_VM_ID, LedgerQueues

__all__ = [
    "GENESIS",
    "USAGE_QUEUE",
    "USAGE_VM_ID",
    "Appended",
    "Batch",
    "CommitLimits",
    "CommitStats",
    "GroupCommit",
    "Head",
    "Ledger",
    "LedgerQueues",
    "LedgerReader",
    "LedgerUnavailableError",
    "MalformedEntryError",
    "Record",
    "Row",
    "link",
    "next_digest",
    "read_entry",
    "record_of",
]
