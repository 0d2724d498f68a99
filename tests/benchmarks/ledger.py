"""The ledger: records that are stored per second, and what one costs, with their guarantee.

The sender is a thread that enqueues as fast as the ledger takes records, each through the durable
queue as a module does it, and each is on the disk when it counts. What the system can do is
measured beside it: writes of as many bytes, each followed by fdatasync.
"""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mixer.state import EnqueueResult, MemorySharedQueues
from mixer.state.ledger import USAGE_QUEUE, CommitLimits, GroupCommit, Ledger, LedgerQueues
from mixer.state.ledger.postgresql import PostgresqlLedger, PostgresqlOptions
from mixer.state.ledger.sqlite import SqliteLedger
from mixer.wire.ledger_pb2 import Entry
from tests.support.postgresql_server import PostgresqlServer

_RECORDS = {1: 500, 64: 32_000, 1024: 100_000}
"""By how many wait at the most."""
_SYNCS = 500
_PAGE = 4096


@dataclass(frozen=True)
class LedgerCost:
    """What a ledger does.

    Attributes:
        name: Of the ledger, and how many records wait at the most.
        per_second: Records stored.
        cpu_us: CPU of this process for each, the making of its message left out.
        batch: Records of a commit, on average.
        commit_ms: How long one took, on average.
    """

    name: str
    per_second: float
    cpu_us: float
    batch: float
    commit_ms: float


def measure(folder: Path | None = None) -> list[LedgerCost]:
    """Measure every ledger.

    Args:
        folder: On the disk that is measured; a temporary one if it is not given.
    """
    with tempfile.TemporaryDirectory(prefix="mixer-ledger-", dir=folder) as name:
        found = [
            _cost(
                f"SQLite, {at_once} at a time", at_once, SqliteLedger(Path(name, f"{at_once}.db"))
            )
            for at_once in _RECORDS
        ]
    with PostgresqlServer() as server:
        options = PostgresqlOptions(server.dsn)
        found += [
            _cost(f"PostgreSQL, {at_once} at a time", at_once, PostgresqlLedger(options))
            for at_once in _RECORDS
        ]
    return found


def syncs_per_second(folder: Path | None = None) -> float:
    """How often the disk takes a page for good in a second."""
    with tempfile.TemporaryFile(dir=folder) as file:
        began = time.perf_counter()
        for _ in range(_SYNCS):
            os.write(file.fileno(), bytes(_PAGE))
            os.fdatasync(file.fileno())
        return _SYNCS / (time.perf_counter() - began)


def _messages(count: int) -> list[bytes]:
    """Records of one call each, with random keys: those of an index are in no order."""
    made = []
    now = time.time_ns()
    for number in range(count):
        entry = Entry()
        usage = entry.usage
        usage.idempotency_key, usage.subject = os.urandom(16).hex(), f"tenant-{number % 1000}"
        usage.plan, usage.plan_version, usage.time_unix_nano = "gold", "3", now + number * 1000
        usage.quantities.add(meter="calls", units=1)
        usage.quantities.add(meter="total_tokens", units=number % 5000)
        made.append(entry.SerializeToString())
    return made


@contextmanager
def _committing(ledger: Ledger, at_once: int) -> Iterator[tuple[GroupCommit, threading.Event]]:
    """A group commit whose sender waits by an event where so many records are under way."""
    stored = threading.Event()

    def post(told: Callable[[], None]) -> None:
        told()
        stored.set()

    commits = GroupCommit(ledger, CommitLimits(max_records=at_once), post)
    try:
        yield commits, stored
    finally:
        commits.close()


def _cost(name: str, at_once: int, ledger: Ledger) -> LedgerCost:
    count = _RECORDS[at_once]
    messages = _messages(count)
    with _committing(ledger, at_once) as (commits, stored):
        queues = LedgerQueues(MemorySharedQueues(), commits)
        cpu, began = time.process_time(), time.perf_counter()
        for message in messages:
            while queues.enqueue(USAGE_QUEUE, message) is EnqueueResult.NO_ROOM:
                stored.clear()
                if commits.pending >= at_once:
                    stored.wait()
        while not commits.is_stored(count):
            stored.clear()
            if not commits.is_stored(count):
                stored.wait()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        stats = commits.stats
    assert stats.records == count
    return LedgerCost(
        name,
        count / seconds,
        cpu / count * 1e6,
        count / stats.commits,
        stats.commit_ns / stats.commits / 1e6,
    )
