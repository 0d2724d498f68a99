"""Nothing is answered before the ledger has what adapters recorded for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer.engine.pausing import Paused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mixer.engine.adapter import Adapter
    from mixer.engine.chain import Steps
    from mixer.engine.decision import Decision
    from mixer.engine.failure import AdapterFailure
    from mixer.engine.pending import Deciding
    from mixer.proxywasm import RootContext
    from mixer.state.ledger import GroupCommit

UNSTORED = "ledger_unavailable"
"""The reason of a request whose records the ledger did not take."""

Records = tuple["Adapter | None", "Sequence[int]"]
"""Tickets of what an adapter recorded; None is one that failed and was passed over."""


def records_of(
    tickets: Mapping[RootContext, Sequence[int]] | None,
    adapters: Iterable[tuple[Adapter, RootContext]],
) -> Iterable[Records]:
    """What was recorded for a stream, by adapter.

    Args:
        tickets: Of the stream.
        adapters: Those that it is in.
    """
    if tickets is None:
        return ()
    by_root = {root: adapter for adapter, root in adapters}
    return [(by_root.get(root), numbers) for root, numbers in tickets.items()]


class Recorded:
    """What adapters recorded for one call, until the ledger has it.

    Args:
        commits: Stores it.

    Attributes:
        by: An adapter that recorded something and does not fail open; None where each does.
        is_failed: Whether the ledger did not take it.
        is_refused: Whether there was no room for something that such an adapter wanted to record.
    """

    __slots__ = ("_commits", "_forget", "_last", "_strict", "by", "is_failed", "is_refused")

    def __init__(self, commits: GroupCommit) -> None:
        self._commits = commits
        self._last = 0
        self._strict: list[int] = []
        self._forget: Callable[[], None] | None = None
        self.by: Adapter | None = None
        self.is_failed = False
        self.is_refused = False

    def add(self, records: Iterable[Records]) -> None:
        """Note what was recorded."""
        for adapter, tickets in records:
            self._last = max(self._last, tickets[-1])
            if adapter is not None and not adapter.fails_open:
                self.by = self.by or adapter
                self._strict += tickets

    def refused(self, adapter: Adapter) -> None:
        """Note that the ledger had no room for what an adapter wanted to record."""
        if not adapter.fails_open:
            self.by = self.by or adapter
            self.is_refused = True

    @property
    def is_stored(self) -> bool:
        """Whether there is nothing that the ledger does not have."""
        return not self.is_refused and self._commits.is_stored(self._last)

    def wait(self, wake: Callable[[], None]) -> None:
        """Have `wake` called once the ledger took it, or did not; see `is_failed`."""

        def done(stored: bool) -> None:
            self._forget, self.is_failed = None, not stored
            wake()

        self._forget = self._commits.wait(self._last, done)

    def leave(self) -> None:
        """Wait no longer."""
        if self._forget is not None:
            self._forget()
            self._forget = None

    def withdraw(self) -> None:
        """Take back what was recorded by adapters that do not fail open."""
        self._commits.withdraw(self._strict)


class DurableDecision:
    """A decision that is made once the ledger has what its adapters recorded.

    Where the ledger does not take it, a request with a record of an adapter that does not fail open
    is refused, and its records are taken back.

    Args:
        deciding: Decides.
        commits: Stores.
    """

    __slots__ = ("_commits", "_deciding")

    def __init__(self, deciding: Deciding, commits: GroupCommit) -> None:
        self._deciding = deciding
        self._commits = commits

    def run(self) -> Steps:
        """See `mixer.engine.pending.Deciding`."""
        decision = yield from self._deciding.run()
        records = list(self._deciding.records())
        if not records:
            return decision
        recorded = Recorded(self._commits)
        recorded.add(records)
        if recorded.is_stored:
            return decision
        return (yield from self._stored(recorded, decision))

    def _stored(self, recorded: Recorded, decision: Decision) -> Steps:
        by, recorded.is_failed = recorded.by, True  # until the ledger says otherwise
        try:
            yield Paused(by, recorded, None if by else decision)
        finally:
            recorded.leave()
            if recorded.is_failed:
                recorded.withdraw()
        if by is None or not recorded.is_failed:
            return decision
        by.note_failure(UNSTORED)
        return self.failed(by.failure(UNSTORED))

    def failed(self, failure: AdapterFailure) -> Decision:
        """See `mixer.engine.pending.Deciding`."""
        return self._deciding.failed(failure)

    def records(self) -> Iterable[Records]:
        """See `mixer.engine.pending.Deciding`."""
        return self._deciding.records()
