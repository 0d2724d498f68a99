"""Nothing is answered before the ledger has what adapters recorded for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from mixer.engine.decision import FAILURE_STATUS, Decision, Response, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from mixer.engine.adapter import Adapter
    from mixer.proxywasm import RootContext
    from mixer.state.ledger import GroupCommit

UNSTORED = "ledger_unavailable"
"""The reason of a request whose records the ledger did not take."""

Records = tuple["Adapter | None", "Sequence[int]"]
"""Tickets of what an adapter recorded; None is one that failed and was passed over."""


class InPlugin(Protocol):
    """A stream's context in a plugin."""

    @property
    def root(self) -> RootContext:
        """The plugin."""


def records_of(
    tickets: Mapping[RootContext, Sequence[int]] | None, contexts: Mapping[Adapter, InPlugin]
) -> Collection[Records]:
    """What was recorded for a stream, by adapter.

    Args:
        tickets: Of the stream.
        contexts: Of the adapters that it is in.
    """
    if tickets is None:
        return ()
    found: list[Records] = []
    for adapter, context in contexts.items():
        numbers = tickets.get(context.root)
        if numbers is not None:
            found.append((adapter, numbers))
    if len(found) < len(tickets):
        known = {context.root for context in contexts.values()}
        found += [(None, numbers) for root, numbers in tickets.items() if root not in known]
    return found


class Recorded:
    """What adapters recorded for one call, until the ledger has it.

    Args:
        commits: Stores it.

    Attributes:
        by: An adapter that recorded something and does not fail open; None where each does.
        is_refused: Whether there was no room for something that such an adapter wanted to record.
    """

    __slots__ = ("_commits", "_key", "_last", "_strict", "by", "is_refused")

    def __init__(self, commits: GroupCommit) -> None:
        self._commits = commits
        self._last = 0
        self._strict: list[int] = []
        self._key: int | None = None
        self.by: Adapter | None = None
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

    def wait(self, done: Callable[[bool], None]) -> None:
        """Have `done` called later: with True once the ledger took it, with False if it did not."""
        self._key = self._commits.wait(self._last, done)

    def leave(self) -> None:
        """Wait no longer."""
        if self._key is not None:
            self._commits.forget(self._key)

    def withdraw(self) -> None:
        """Take back what was recorded by adapters that do not fail open."""
        self._commits.withdraw(self._strict)


def unstored(commits: GroupCommit | None, records: Collection[Records]) -> Recorded | None:
    """What has to be waited for; None where nothing was recorded that the ledger does not have.

    Args:
        commits: Stores it; None where there is no ledger.
        records: Of one call.
    """
    if commits is None or not records:
        return None
    recorded = Recorded(commits)
    recorded.add(records)
    return None if recorded.is_stored else recorded


class Stored:
    """What a decision waits for that was made already: that the ledger has what was recorded.

    Where the ledger does not take it, a request with a record of an adapter that does not fail open
    is refused, and its records are taken back.

    Args:
        recorded: For the request.
        decision: As the adapters made it.
        make: Told the decision that comes of it, later.
    """

    __slots__ = ("_decision", "_make", "_recorded")

    def __init__(
        self, recorded: Recorded, decision: Decision, make: Callable[[Decision], None]
    ) -> None:
        self._recorded = recorded
        self._decision = decision
        self._make = make
        recorded.wait(self._settled)

    def _settled(self, stored: bool) -> None:
        recorded, decision = self._recorded, self._decision
        if not stored:
            recorded.withdraw()
            if recorded.by is not None:
                decision = self._refused(recorded.by, UNSTORED, UNSTORED)
        self._make(decision)

    def give_up(self, reason: str, waited_ms: float) -> Decision:
        """See `mixer.engine.pending.Awaited`."""
        recorded = self._recorded
        recorded.leave()
        recorded.withdraw()
        if recorded.by is None:
            return self._decision
        noted = f"{reason}: a request waited {waited_ms:.0f} ms for the ledger"
        return self._refused(recorded.by, reason, noted)

    def _refused(self, by: Adapter, reason: str, noted: str) -> Decision:
        by.note_failure(noted)
        made = self._decision
        refusal = Decision(
            Verdict.ERROR,
            adapters=made.adapters,
            adapter=by.name,
            rule=by.rule,
            reason=reason,
            response=Response(FAILURE_STATUS),
            failed_open=made.failed_open,
        )
        if made.story is None:
            return refusal
        made.story.end(refusal)
        return replace(refusal, story=made.story)
