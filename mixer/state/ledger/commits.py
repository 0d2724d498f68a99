"""Group commit: one thread appends what many requests enqueued meanwhile."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import count, islice

from mixer.state.ledger.entries import shown_key
from mixer.state.ledger.ports import Appended, Ledger, LedgerUnavailableError, Record
from mixer.state.ports import Post

_log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_OVERHEAD_BYTES = 512

_PATIENCE_S, _LONGEST_PATIENCE_S = 0.00025, 0.008
"""How long a commit waits for more at the most, for each record of the one before: it costs as much
as a dozen records do, and where there are many, as many more come meanwhile."""

_LULL_S = 0.001
"""It waits no longer once none has come for so long: all who could send one may wait for it."""

Done = Callable[[bool], None]
"""Told whether it is stored; where it is not, the ledger did not take it now."""


@dataclass(frozen=True, slots=True)
class CommitLimits:
    """Bounds of what waits for the ledger.

    Attributes:
        max_records: Records that are taken on and not stored.
        max_bytes: Bytes of them, with 512 more for each.
        max_batch: Records of one commit.
        interval: Seconds that a commit waits for more records, unless there are `max_batch`.
        close_grace: Seconds for what waits at the end.
    """

    max_records: int = 65_536
    max_bytes: int = 64 << 20
    max_batch: int = 4096
    interval: float = 0.0
    close_grace: float = 5.0


@dataclass(slots=True)
class CommitStats:
    """What was counted.

    Attributes:
        records: That are stored.
        duplicates: That were there, the same.
        conflicts: That were there with another content.
        commits: That succeeded.
        failures: That did not.
        commit_ns: Nanoseconds that the commits took, failed ones too.
        refused: Records for which there was no room.
        withdrawn: Records that were taken back, since their request was refused.
    """

    records: int = 0
    duplicates: int = 0
    conflicts: int = 0
    commits: int = 0
    failures: int = 0
    commit_ns: int = 0
    refused: int = 0
    withdrawn: int = 0


class GroupCommit:
    """Takes records from one thread, and has its own append them.

    Each record has a ticket; once a commit succeeded, whoever waits for one of its tickets or an
    earlier one is told. Where a commit fails, all who wait are told that, and so is whoever comes
    before it is tried again; the records are, until they are taken back by `withdraw`.

    Args:
        ledger: Belongs to the other thread from now on, and is closed with this.
        limits: Of what waits.
        post: Brings what is to be told into the thread of the caller.

    Attributes:
        last: The ticket that was given last; 0 before the first.
        stats: Counts.
        failing: Why the last commit failed; empty unless it did.
    """

    def __init__(self, ledger: Ledger, limits: CommitLimits, post: Post) -> None:
        self._ledger = ledger
        self._limits = limits
        self._post = post
        self._waiting: dict[int, Record] = {}
        self._bytes = 0
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._idle = self._closing = False
        self._waiters: dict[int, tuple[int, Done]] = {}
        self._keys = count()
        self.last = 0
        self.stats = CommitStats()
        self.failing = ""
        self._stored = 0
        self._rows = 0
        self._pause = _FIRST_PAUSE_S
        self._tried_again_at = 0.0
        self._patience = 0.0
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> int:
        """Records that are taken on and not stored."""
        return len(self._waiting)

    @property
    def pending_bytes(self) -> int:
        """Their bytes, with 512 more for each."""
        return self._bytes

    def put(self, record: Record) -> int | None:
        """Take a record on; its ticket, or None where there is no room."""
        size = len(record.entry) + _OVERHEAD_BYTES
        with self._lock:
            before = len(self._waiting)
            full = before >= self._limits.max_records
            if full or self._bytes + size > self._limits.max_bytes or self._closing:
                self.stats.refused += 1
                return None
            self.last += 1
            self._waiting[self.last] = record
            self._bytes += size
            is_full = before + 1 == self._limits.max_batch and not self.failing
            if self._idle or is_full:
                self._idle = False
                self._changed.notify()
        return self.last

    def is_stored(self, ticket: int) -> bool:
        """Whether the record with a ticket is stored, as far as this thread was told."""
        return ticket <= self._stored

    def wait(self, ticket: int, done: Done) -> int:
        """Have `done` called once, later; a number by which to forget it."""
        key = next(self._keys)
        self._waiters[key] = ticket, done
        if self.failing and time.monotonic() < self._tried_again_at:
            self._post(partial(self._give_up, key))
        return key

    def forget(self, key: int) -> None:
        """Tell somebody no longer who waits; nothing where they were told."""
        self._waiters.pop(key, None)

    def _give_up(self, key: int) -> None:
        """Tell one who waits that it is not stored now."""
        found = self._waiters.pop(key, None)
        if found is not None:
            found[1](False)

    def withdraw(self, tickets: Iterable[int]) -> None:
        """Take records back whose request was refused; what is being stored may stay."""
        with self._changed:
            for ticket in tickets:
                record = self._waiting.pop(ticket, None)
                if record is not None:
                    self._bytes -= len(record.entry) + _OVERHEAD_BYTES
                    self.stats.withdrawn += 1

    def _run(self) -> None:
        while batch := self._take():
            if self._commit(batch):
                continue
            with self._changed:
                if self._closing:
                    return
                self._changed.wait(max(0.0, self._tried_again_at - time.monotonic()))

    def _take(self) -> dict[int, Record]:
        """The oldest records, once there are any; none at the end."""
        with self._changed:
            while not self._closing:
                if self._waits_for_more and self._limits.interval:
                    self._changed.wait(self._limits.interval)
                self._linger()
                if self._waiting:
                    break
                self._idle = True
                self._changed.wait()
                self._idle = False
            return dict(islice(self._waiting.items(), self._limits.max_batch))

    @property
    def _waits_for_more(self) -> bool:
        has_room = 0 < len(self._waiting) < self._limits.max_batch
        return has_room and not self.failing and not self._closing

    def _linger(self) -> None:
        """Wait while more come, within what patience there is."""
        until, seen = time.monotonic() + self._patience, 0
        while self._waits_for_more and len(self._waiting) > seen:
            left = until - time.monotonic()
            if left <= 0:
                return
            seen = len(self._waiting)
            self._changed.wait(min(left, _LULL_S))

    def _commit(self, batch: dict[int, Record]) -> bool:
        began = time.monotonic_ns()
        try:
            appended = self._ledger.append(list(batch.values()))
        except LedgerUnavailableError as error:
            self._failed(str(error))
            return False
        except Exception as error:  # a defect of our own must not end the thread
            _log.exception("a commit of the ledger failed")
            self._failed(repr(error))
            return False
        finally:
            self.stats.commit_ns += time.monotonic_ns() - began
        self._succeeded(appended, batch)
        return True

    def _succeeded(self, appended: Appended, batch: dict[int, Record]) -> None:
        with self._changed:
            for ticket, record in batch.items():
                if self._waiting.pop(ticket, None) is not None:
                    self._bytes -= len(record.entry) + _OVERHEAD_BYTES
        many = len(batch) > 1
        self._patience = min(len(batch) * _PATIENCE_S, _LONGEST_PATIENCE_S) if many else 0.0
        stats = self.stats
        stats.commits += 1
        stats.records += appended.stored
        stats.duplicates += appended.duplicates
        if appended.conflicts:
            stats.conflicts += len(appended.conflicts)
            _log.warning(
                "%d records are in the ledger with another content, which stays: the first is %s",
                len(appended.conflicts),
                shown_key(appended.conflicts[0]),
            )
        self._note_rows(appended)
        self._pause = _FIRST_PAUSE_S
        if self.failing:
            self.failing = ""
            _log.warning("the ledger takes records again; %d wait", len(self._waiting))
        self._tell(max(batch), stored=True)

    def _note_rows(self, appended: Appended) -> None:
        """Tell where rows have gone that were acknowledged, as where a replica lacked them."""
        before = appended.head.position - appended.stored
        if before < self._rows:
            _log.error(
                "the ledger lost rows: it had %d, and began again after %d", self._rows, before
            )
        self._rows = appended.head.position

    def _failed(self, why: str) -> None:
        self.stats.failures += 1
        if not self.failing:
            _log.error("the ledger takes no records, and is tried again: %s", why)
        self._tried_again_at = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)
        self.failing = why
        self._tell(self.last, stored=False)

    def _tell(self, ticket: int, *, stored: bool) -> None:
        try:
            self._post(partial(self._settle, ticket, stored=stored))
        except RuntimeError:  # the caller's loop has ended: nobody waits
            return

    def _settle(self, ticket: int, *, stored: bool) -> None:
        """Tell those who wait; in the thread of the caller."""
        if stored:
            self._stored = max(self._stored, ticket)
        due = [key for key, (wanted, _) in self._waiters.items() if wanted <= ticket]
        for key in due:
            waiter = self._waiters.pop(key, None)
            if waiter is None:  # who was told before has it leave
                continue
            try:
                waiter[1](stored)
            except Exception:  # the others wait as well
                _log.exception("one who waited for the ledger failed")

    def close(self) -> None:
        """Store what waits, within the grace period, and close the ledger."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(self._limits.close_grace)
        if self._waiting:
            _log.error("%d records that were not acknowledged are not in the ledger: %s",
                       len(self._waiting), self.failing or "it did not answer in time")  # fmt: skip
        if not self._thread.is_alive():
            self._ledger.close()
