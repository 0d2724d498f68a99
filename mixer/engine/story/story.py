"""What is kept of how one decision was made."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from mixer.engine.cache.reads import Read
    from mixer.engine.decision import Decision
    from mixer.engine.request import Request


class Wanted(Flag):
    """For whom the story of a request is kept."""

    NOTHING = 0
    LOG = auto()
    SPANS = auto()


Sampler = Callable[["Request"], Wanted]
"""Says, before a request is decided, for whom its story is to be kept."""


class Turn(NamedTuple):
    """One call of an adapter.

    Attributes:
        adapter: Its name.
        rule: The rule that configured it; empty where its WasmPlugin did.
        callback: What it was called for: ``request_headers``, ``request_body``, ``resumed``, and
            so on.
        began: Nanoseconds since the request began.
        duration: Nanoseconds.
        outcome: ``continue``, ``pause``, ``hold``, ``answered`` or ``failed``.
    """

    adapter: str
    rule: str
    callback: str
    began: int
    duration: int
    outcome: str


class Seen(NamedTuple):
    """What an adapter saw where one before it had changed that.

    Attributes:
        value: At the first look, its beginning if it is long; None where there was nothing.
        by: The adapter that had changed it; empty where that is not known.
    """

    value: object
    by: str


@dataclass(slots=True)
class Story:
    """How one decision was made.

    Attributes:
        wanted: For whom it is kept.
        began: Nanoseconds since 1970.
        clock: The same moment by ``time.perf_counter_ns``.
        duration: Nanoseconds until it was decided, with all waiting; None until then.
        from_cache: Whether the decision cache had it.
        turns: In their order.
        reads: By adapter, what it looked at in the request, in the order of the first looks; with
            what it saw where that is not what came in.
        beyond: By adapter, what else it follows from: ``time``, ``random`` and ``shared state``.
        left_out: Looks that were not kept because there were too many.
        decision: What was decided, without a story; None until then.
    """

    wanted: Wanted
    began: int = field(default_factory=time.time_ns)
    clock: int = field(default_factory=time.perf_counter_ns)
    duration: int | None = None
    from_cache: bool = False
    turns: list[Turn] = field(default_factory=list)
    reads: dict[str, dict[Read, Seen | None]] = field(default_factory=dict)
    beyond: dict[str, dict[str, None]] = field(default_factory=dict)
    left_out: int = 0
    decision: Decision | None = None

    def end(self, decision: Decision) -> None:
        """Note what is decided."""
        self.duration = time.perf_counter_ns() - self.clock
        self.decision = decision

    def time_in(self, adapter: str) -> int:
        """Nanoseconds in an adapter, without what it waited for."""
        return sum(turn.duration for turn in self.turns if turn.adapter == adapter)


class DecisionLog(Protocol):
    """Is told of decisions as they were sent."""

    def wants(self, decision: Decision) -> bool:
        """Whether to tell it; cheap, since every decision is asked about."""

    def tell(self, front_end: str, request: Request, decision: Decision, outcome: str) -> None:
        """Take a decision; returns at once.

        Args:
            front_end: By which protocol it was asked for.
            request: As it was asked; its headers may have been changed since.
            decision: As it was sent.
            outcome: What came of it, where that is not the verdict.
        """
