"""Group commit: what waits, what is told, and what happens while the ledger fails."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import SimpleQueue

import pytest

from mixer.state.ledger import (
    GENESIS,
    Appended,
    CommitLimits,
    GroupCommit,
    Head,
    LedgerUnavailableError,
    Record,
    link,
)
from tests.support.ledger_entries import records

_WAIT_S = 30.0


class _Ledger:
    """In memory; appends when it is let, and fails when it is told to."""

    def __init__(self) -> None:
        self.rows: list[Record] = []
        self.known: dict[bytes, bytes] = {}
        self.batches: list[int] = []
        self.attempts = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self.error = ""
        self.answer_is_lost = False
        self.closed = False
        self._head = GENESIS

    def head(self) -> Head:
        return self._head

    def append(self, records: Sequence[Record]) -> Appended:
        self.attempts.release()
        assert self.gate.wait(_WAIT_S)
        if self.error:
            raise LedgerUnavailableError(self.error)
        batch = link(self._head, self.known, records)
        self.known |= {row.key: row.entry for row in batch.rows}
        self.rows += [Record(row.key, row.entry, row.time) for row in batch.rows]
        self.batches.append(len(records))
        self._head = batch.appended.head
        if self.answer_is_lost:
            self.answer_is_lost = False
            raise LedgerUnavailableError("the connection is lost")
        return batch.appended

    def lose_rows(self) -> None:
        self.known, self._head = {}, GENESIS

    def close(self) -> None:
        self.closed = True


class _Loop:
    """The thread of the caller: runs what is posted."""

    def __init__(self) -> None:
        self.posted: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.posted.get(timeout=_WAIT_S)()


@pytest.fixture
def ledger() -> _Ledger:
    return _Ledger()


@pytest.fixture
def loop() -> _Loop:
    return _Loop()


Make = Callable[..., GroupCommit]


@pytest.fixture
def make(ledger: _Ledger, loop: _Loop) -> Iterator[Make]:
    made: list[GroupCommit] = []

    def build(**limits: float) -> GroupCommit:
        settings = CommitLimits(**limits)  # type: ignore[arg-type]
        made.append(GroupCommit(ledger, settings, loop.posted.put))
        return made[-1]

    yield build
    ledger.gate.set()
    for one in made:
        one.close()


def _put(commits: GroupCommit, *keys: str) -> list[int]:
    tickets = [commits.put(record) for record in records(*keys)]
    assert None not in tickets
    return [ticket for ticket in tickets if ticket]


def test_whoever_waits_is_told_once_it_is_stored(ledger: _Ledger, loop: _Loop, make: Make) -> None:
    """Nothing is told before the commit; afterwards the ticket counts as stored."""
    commits = make()
    ledger.gate.clear()
    told: list[bool] = []
    (ticket,) = _put(commits, "a")
    commits.wait(ticket, told.append)
    assert ledger.attempts.acquire(timeout=_WAIT_S)
    assert (told, commits.is_stored(ticket), commits.pending) == ([], False, 1)
    ledger.gate.set()
    loop.until(lambda: bool(told))
    assert (told, commits.is_stored(ticket), commits.pending) == ([True], True, 0)
    assert commits.pending_bytes == 0
    assert commits.stats.records == 1


def test_what_comes_during_a_commit_is_one_commit(ledger: _Ledger, loop: _Loop, make: Make) -> None:
    """Records that were enqueued while the disk was busy share the next commit, up to its bound."""
    commits = make(max_batch=4)
    ledger.gate.clear()
    _put(commits, "a")
    assert ledger.attempts.acquire(timeout=_WAIT_S)
    *_, last = _put(commits, "b", "c", "d", "e", "f")
    ledger.gate.set()
    loop.until(lambda: commits.is_stored(last))
    assert ledger.batches == [1, 4, 1]


def test_there_is_room_for_so_much(ledger: _Ledger, loop: _Loop, make: Make) -> None:
    """Records and bytes beyond the bounds are refused, until a commit made room."""
    commits = make(max_records=2)
    ledger.gate.clear()
    _put(commits, "a", "b")
    (more,) = records("c")
    assert commits.put(more) is None
    assert commits.stats.refused == 1
    ledger.gate.set()
    loop.until(lambda: commits.is_stored(2))
    assert commits.put(more) == 3
    small = make(max_bytes=1000)
    assert small.put(more) == 1
    small_full = make(max_bytes=100)
    assert small_full.put(more) is None


def test_a_failure_is_told_and_tried_again(ledger: _Ledger, loop: _Loop, make: Make) -> None:
    """All who wait learn of it at once; the records are stored as soon as the ledger takes them."""
    commits = make()
    ledger.error = "no space"
    told: list[bool] = []
    for ticket in _put(commits, "a", "b"):
        commits.wait(ticket, told.append)
    loop.until(lambda: len(told) == 2)
    assert told == [False, False]
    assert (commits.failing, commits.pending) == ("no space", 2)
    ledger.error = ""
    loop.until(lambda: commits.is_stored(2))
    assert commits.failing == ""
    assert [one.key for one in ledger.rows] == [b"ua", b"ub"]
    assert commits.stats.failures >= 1


def test_what_is_withdrawn_is_not_stored(ledger: _Ledger, loop: _Loop, make: Make) -> None:
    """A refused request's records are taken back, and make room."""
    commits = make()
    ledger.error = "no space"
    tickets = _put(commits, "a", "b", "c")
    told: list[bool] = []
    commits.wait(tickets[-1], told.append)
    loop.until(lambda: bool(told))
    commits.withdraw([tickets[1], tickets[1], 99])
    assert (commits.pending, commits.stats.withdrawn) == (2, 1)
    ledger.error = ""
    loop.until(lambda: commits.is_stored(tickets[-1]))
    assert [one.key for one in ledger.rows] == [b"ua", b"uc"]
    assert (commits.pending, commits.pending_bytes) == (0, 0)


def test_whoever_left_is_not_told(ledger: _Ledger, loop: _Loop, make: Make) -> None:
    """A waiter that is forgotten is never called, and leaves nothing behind."""
    commits = make()
    ledger.gate.clear()
    told: list[str] = []
    (ticket,) = _put(commits, "a")
    commits.forget(commits.wait(ticket, lambda _: told.append("left")))
    commits.wait(ticket, lambda _: told.append("stayed"))
    ledger.gate.set()
    loop.until(lambda: bool(told))
    assert told == ["stayed"]


def test_one_who_fails_harms_no_other(
    ledger: _Ledger, loop: _Loop, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Who is told after one who cannot bear it is told all the same."""
    commits = make()
    ledger.gate.clear()
    (ticket,) = _put(commits, "a")
    told: list[bool] = []
    commits.wait(ticket, lambda _: told.append(1 / 0))  # type: ignore[arg-type]
    commits.wait(ticket, told.append)
    ledger.gate.set()
    loop.until(lambda: bool(told))
    assert told == [True]
    assert "ZeroDivisionError" in caplog.text


def test_one_of_them_leaves_while_they_are_told(ledger: _Ledger, loop: _Loop, make: Make) -> None:
    """Whoever leaves because another was told is not told any more."""
    commits = make()
    ledger.gate.clear()
    (ticket,) = _put(commits, "a")
    told: list[bool] = []
    commits.wait(ticket, lambda _: commits.forget(second))
    second = commits.wait(ticket, told.append)
    last: list[bool] = []
    commits.wait(ticket, last.append)
    ledger.gate.set()
    loop.until(lambda: bool(last))
    assert not told


def test_a_full_batch_waits_for_no_more(ledger: _Ledger, loop: _Loop, make: Make) -> None:
    """Where there is as much as one commit takes, there is nothing to wait for."""
    commits = make(interval=3600.0, max_batch=2)
    tickets = _put(commits, "a", "b", "c", "d")
    commits.wait(tickets[-1], lambda _: None)
    loop.until(lambda: commits.is_stored(tickets[-1]))
    assert ledger.batches == [2, 2]


def test_the_end_stores_what_waits(ledger: _Ledger, make: Make) -> None:
    """Closing commits what was enqueued, takes nothing more, and closes the ledger."""
    commits = make(interval=60.0)
    _put(commits, "a", "b")
    commits.close()
    assert [one.key for one in ledger.rows] == [b"ua", b"ub"]
    assert ledger.closed
    assert commits.put(records("c")[0]) is None


def test_the_end_of_a_ledger_that_fails(
    ledger: _Ledger, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends all the same, and says how much is lost that nobody was promised."""
    commits = make()
    ledger.error = "no space"
    _put(commits, "a", "b")
    assert ledger.attempts.acquire(timeout=_WAIT_S)
    commits.close()
    assert "2 records that were not acknowledged are not in the ledger: no space" in caplog.text


def test_a_conflict_is_counted_and_told(
    ledger: _Ledger, loop: _Loop, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """A key with another content than before is told by name; the same content is not."""
    commits = make()
    (ticket,) = _put(commits, "a")
    loop.until(lambda: commits.is_stored(ticket))
    (again,) = _put(commits, "a")
    other = records("b")[0]._replace(key=b"ua")
    last = commits.put(other)
    assert last == again + 1
    loop.until(lambda: commits.is_stored(last))
    stats = commits.stats
    assert (stats.records, stats.duplicates, stats.conflicts) == (1, 1, 1)
    assert "the first is usage 'a'" in caplog.text


def test_a_defect_of_a_ledger_does_not_end_it(
    ledger: _Ledger, loop: _Loop, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody expects is a failure like any other."""
    append, calls = ledger.append, [0]

    def broken(records: Sequence[Record]) -> Appended:
        calls[0] += 1
        if calls[0] == 1:
            raise KeyError("a defect")
        return append(records)

    monkeypatch.setattr(ledger, "append", broken)
    commits = make()
    (ticket,) = _put(commits, "a")
    loop.until(lambda: commits.is_stored(ticket))
    assert calls == [2]


def test_rows_that_are_lost(
    ledger: _Ledger, loop: _Loop, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a replica takes over that lacks what was acknowledged, the log says so."""
    commits = make()
    for key in "abc":
        if key == "c":
            assert not caplog.records
            ledger.lose_rows()
        (ticket,) = _put(commits, key)
        loop.until(partial(commits.is_stored, ticket))
    assert [record.getMessage() for record in caplog.records] == [
        "the ledger lost rows: it had 2, and began again after 0"
    ]


def test_nobody_waits_for_a_ledger_that_is_known_to_fail(
    ledger: _Ledger, loop: _Loop, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes before it is tried again is told at once; then one is tried, and it goes on."""
    monkeypatch.setattr("mixer.state.ledger.commits._FIRST_PAUSE_S", 3600.0)
    monkeypatch.setattr("mixer.state.ledger.commits._LONGEST_PAUSE_S", 3600.0)
    commits = make()
    ledger.error = "no space left"
    told: list[bool] = []

    def ask(name: str) -> int:
        (ticket,) = _put(commits, name)
        commits.wait(ticket, told.append)
        before = len(told)
        loop.until(lambda: len(told) > before)
        return ticket

    commits.withdraw([ask("a")])
    commits.withdraw([ask("b")])
    assert told == [False, False]
    assert ledger.attempts.acquire(blocking=False)
    assert not ledger.attempts.acquire(blocking=False)
    ledger.error = ""
    commits._tried_again_at = 0.0
    with commits._changed:
        commits._changed.notify()  # the pause is over
    ask("c")
    assert told[-1]
    assert [row.key for row in ledger.rows] == [b"uc"]


@pytest.mark.parametrize("is_withdrawn", [False, True])
def test_a_commit_of_which_nothing_is_heard(
    ledger: _Ledger, loop: _Loop, make: Make, is_withdrawn: bool
) -> None:
    """What it stored is there once, whether it is tried again or its request comes again."""
    commits, told = make(), list[bool]()
    ledger.gate.clear()
    ledger.answer_is_lost = True
    (ticket,) = _put(commits, "a")
    commits.wait(ticket, told.append)
    ledger.gate.set()
    loop.until(lambda: bool(told))
    assert told == [False]
    if is_withdrawn:
        commits.withdraw([ticket])
        (ticket,) = _put(commits, "a")
    loop.until(lambda: commits.is_stored(ticket))
    assert [row.key for row in ledger.rows] == [b"ua"]
    assert commits.stats.duplicates == 1


def test_it_waits_only_while_more_come(
    ledger: _Ledger, loop: _Loop, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all who could send one wait already, waiting for more would hold them up in vain."""
    monkeypatch.setattr("mixer.state.ledger.commits._PATIENCE_S", 3600.0)
    monkeypatch.setattr("mixer.state.ledger.commits._LONGEST_PATIENCE_S", 3600.0)
    commits = make()
    ledger.gate.clear()
    _put(commits, "a")
    ledger.attempts.acquire()
    _put(commits, *"bcdefghi")
    ledger.gate.set()
    (last,) = _put(commits, "j")
    loop.until(lambda: commits.is_stored(last))


def test_after_a_large_commit_the_next_one_waits_for_more(
    ledger: _Ledger, loop: _Loop, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many small commits would cost more than what is in them; the end waits for nothing."""
    monkeypatch.setattr("mixer.state.ledger.commits._PATIENCE_S", 3600.0)
    monkeypatch.setattr("mixer.state.ledger.commits._LONGEST_PATIENCE_S", 3600.0)
    monkeypatch.setattr("mixer.state.ledger.commits._LULL_S", 3600.0)
    commits = make()
    ledger.gate.clear()
    _put(commits, "a")
    ledger.attempts.acquire()
    tickets = _put(commits, *"bcdefghi")
    ledger.gate.set()
    loop.until(lambda: commits.is_stored(tickets[-1]))
    assert ledger.batches == [1, 8]
    _put(commits, "j")
    for _ in range(1000):  # it has every opportunity to store it alone
        os.sched_yield()
    assert ledger.batches == [1, 8]
    commits.close()
    assert ledger.batches == [1, 8, 1]
