"""A decision that is not made yet: an adapter waits for a callout, or the ledger has to store."""

import logging
import time
from collections.abc import Callable, Collection
from typing import Protocol

from mixer.engine.chain import Steps
from mixer.engine.decision import Decision
from mixer.engine.durable import Records, Stored, unstored
from mixer.engine.failure import AdapterFailure, misled
from mixer.engine.pausing import Paused
from mixer.engine.verdict_counts import VerdictCounts
from mixer.state.ledger import GroupCommit

_log = logging.getLogger(__name__)


class Deciding(Protocol):
    """What makes a decision: `mixer.engine.chain.Chain`, and what is like it for connections."""

    def run(self) -> Steps:
        """Decide; where an adapter pauses it, tell which, and go on when it may."""

    def failed(self, failure: AdapterFailure) -> Decision:
        """The decision where an adapter failed that may not be passed over."""

    def records(self) -> Collection[Records]:
        """What the adapters recorded in the ledger."""


class Awaited(Protocol):
    """What a pending decision waits for."""

    def give_up(self, reason: str, waited_ms: float) -> Decision:
        """Wait no longer; the decision that comes of it."""


class PendingDecision:
    """Is made by itself, in the thread of the VMs, once what it waits for has come.

    Args:
        verdicts: Counts what comes of it.

    Attributes:
        decision: None until it is made.
        awaited: What it waits for; None once it is made.
    """

    __slots__ = ("_began", "_done", "_verdicts", "awaited", "decision")

    def __init__(self, verdicts: VerdictCounts) -> None:
        self._began = time.monotonic()
        self._verdicts = verdicts
        self._done: Callable[[Decision], None] | None = None
        self.awaited: Awaited | None = None
        self.decision: Decision | None = None

    def make(self, decision: Decision) -> None:
        """It is decided."""
        self._end(decision)
        if self._done is not None:
            self._done(decision)

    def _end(self, decision: Decision) -> None:
        self.decision, self.awaited = decision, None
        self._verdicts.add(decision)

    def then(self, done: Callable[[Decision], None]) -> None:
        """Have `done` called with the decision; not after `give_up`."""
        if self.decision is None:
            self._done = done
        else:
            done(self.decision)

    def give_up(self, reason: str) -> Decision:
        """End it: the caller does not wait any longer. What was decided already stands.

        Args:
            reason: A short word for the decision log.
        """
        if self.decision is None:
            assert self.awaited is not None
            waited_ms = (time.monotonic() - self._began) * 1000
            self._end(self.awaited.give_up(reason, waited_ms))
        assert self.decision is not None
        return self.decision


class _Running:
    """A chain that an adapter has paused.

    Args:
        pending: Is made once the chain has decided, and the ledger has what was recorded.
        chain: Decides.
        steps: What is left of it.
        commits: Where there is a ledger, its.
    """

    __slots__ = ("_chain", "_commits", "_paused", "_pending", "_steps")

    def __init__(
        self,
        pending: PendingDecision,
        chain: Deciding,
        steps: Steps,
        paused: Paused,
        commits: GroupCommit | None,
    ) -> None:
        self._pending = pending
        self._chain = chain
        self._steps = steps
        self._commits = commits
        pending.awaited = self
        self._wait(paused)

    def _wait(self, paused: Paused) -> None:
        self._paused = paused
        paused.context.wait(self._go_on)

    def _go_on(self) -> None:
        if self._pending.awaited is not self:
            return
        try:
            self._wait(next(self._steps))
        except StopIteration as end:
            self._decided(end.value)
        except Exception:  # nobody else would see it: the caller waits for this decision
            _log.exception("a decision failed")
            self._pending.make(self._failed("internal_error"))

    def _decided(self, decision: Decision) -> None:
        recorded = unstored(self._commits, self._chain.records())
        if recorded is None:
            self._pending.make(decision)
        else:
            self._pending.awaited = Stored(recorded, decision, self._pending.make)

    def _failed(self, reason: str) -> Decision:
        return self._chain.failed(misled(self._paused.adapter.name, reason))

    def give_up(self, reason: str, waited_ms: float) -> Decision:
        """See `Awaited`."""
        self._steps.close()
        self._paused.adapter.note_failure(f"{reason}: a request waited {waited_ms:.0f} ms for it")
        return self._failed(reason)


def decide(
    chain: Deciding, verdicts: VerdictCounts, commits: GroupCommit | None = None
) -> Decision | PendingDecision:
    """Run a chain until it has decided, or has to wait; a decision is counted once it is made.

    Args:
        chain: Decides.
        verdicts: Counts.
        commits: Where there is a ledger, its; nothing is decided before it has what was recorded.
    """
    steps = chain.run()
    try:
        paused = next(steps)
    except StopIteration as end:
        decision: Decision = end.value
        recorded = None if commits is None else unstored(commits, chain.records())
        if recorded is None:
            verdicts.add(decision)
            return decision
        pending = PendingDecision(verdicts)
        pending.awaited = Stored(recorded, decision, pending.make)
        return pending
    pending = PendingDecision(verdicts)
    _Running(pending, chain, steps, paused, commits)
    return pending
