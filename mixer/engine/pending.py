"""A decision that is not made yet, because an adapter waits for a callout."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from mixer.engine.chain import Steps
from mixer.engine.decision import Decision
from mixer.engine.durable import DurableDecision, Records
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

    def records(self) -> Iterable[Records]:
        """What the adapters recorded in the ledger."""


class PendingDecision:
    """Goes on by itself, in the thread of the VMs, whenever an adapter resumes the request.

    Args:
        chain: What decides.
        steps: What is left of it.
        paused: Where it waits now.
        verdicts: Counts what comes of it.

    Attributes:
        decision: None until it is made.
    """

    __slots__ = ("_began", "_chain", "_done", "_paused", "_steps", "_verdicts", "decision")

    def __init__(
        self, chain: Deciding, steps: Steps, paused: Paused, verdicts: VerdictCounts
    ) -> None:
        self._began = time.monotonic()
        self._chain = chain
        self._verdicts = verdicts
        self._steps = steps
        self._done: Callable[[Decision], None] | None = None
        self.decision: Decision | None = None
        self._wait(paused)

    def _wait(self, paused: Paused) -> None:
        self._paused = paused
        paused.context.wait(self._go_on)

    def _go_on(self) -> None:
        if self.decision is not None:
            return
        try:
            self._wait(next(self._steps))
        except StopIteration as end:
            self._settle(end.value)
        except Exception:  # nobody else would see it: the caller waits for this decision
            _log.exception("a decision failed")
            self._settle(self._failed("internal_error"))

    def _settle(self, decision: Decision) -> None:
        self.decision = decision
        self._verdicts.add(decision)
        if self._done is not None:
            self._done(decision)

    def _failed(self, reason: str) -> Decision:
        adapter = self._paused.adapter
        return self._chain.failed(misled("" if adapter is None else adapter.name, reason))

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
            self._steps.close()
            self.decision = self._paused.otherwise or self._given_up(reason)
            self._verdicts.add(self.decision)
        return self.decision

    def _given_up(self, reason: str) -> Decision:
        waited = (time.monotonic() - self._began) * 1000
        if self._paused.adapter is not None:
            what = f"{reason}: a request waited {waited:.0f} ms for it"
            self._paused.adapter.note_failure(what)
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
    if commits is not None:
        chain = DurableDecision(chain, commits)
    steps = chain.run()
    try:
        paused = next(steps)
    except StopIteration as end:
        decision: Decision = end.value
        verdicts.add(decision)
        return decision
    return PendingDecision(chain, steps, paused, verdicts)
