"""Spans as values, and what a sampled call is told as.

Source: OpenTelemetry's semantic conventions 1.40, "RPC spans" and "HTTP spans".
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mixer.engine import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixer.engine.story import Story, Turn
    from mixer.telemetry.trace_context import Parent

Attribute = str | int | bool

MAX_STORIES = 32
"""Decisions of one call that get spans; a call may have many more."""

MAX_SPANS = 256
"""Of one call."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span that is over.

    Attributes:
        name: What was done.
        trace_id: 128 bits.
        span_id: 64 bits.
        parent_id: 64 bits; 0 for none.
        is_server: Whether it is that of a call, and not part of one.
        began: Nanoseconds since 1970.
        ended: Likewise.
        attributes: By name.
        error: Whether it failed for a reason of the service.
        state: ``tracestate``.
        remote: Whether the parent is another process'.
    """

    name: str
    trace_id: int
    span_id: int
    parent_id: int
    is_server: bool
    began: int
    ended: int
    attributes: dict[str, Attribute]
    error: bool = False
    state: str = ""
    remote: bool = False


@dataclass(slots=True)
class CallSpan:
    """The span of a call that is under way.

    Attributes:
        name: Of the span.
        parent: The caller's; None for the beginning of a trace.
        trace_id: 128 bits.
        span_id: 64 bits.
        began: Nanoseconds since 1970.
        clock: The same moment by ``time.perf_counter_ns``.
        stories: Of the decisions that were made for it.
        left_out: How many more decisions there were.
    """

    name: str
    parent: Parent | None
    trace_id: int = 0
    span_id: int = field(default_factory=lambda: _new_id(64))
    began: int = field(default_factory=time.time_ns)
    clock: int = field(default_factory=time.perf_counter_ns)
    stories: list[Story] = field(default_factory=list)
    left_out: int = 0

    def __post_init__(self) -> None:
        self.trace_id = _new_id(128) if self.parent is None else self.parent.trace_id

    def add(self, story: Story) -> None:
        """A decision begins."""
        if len(self.stories) < MAX_STORIES:
            self.stories.append(story)
        else:
            self.left_out += 1

    def end(self, attributes: dict[str, Attribute], *, error: bool) -> list[Span]:
        """All spans of the call, which is over: its own one first."""
        ended = self._at(time.perf_counter_ns())
        more = {"mixer.decisions.left_out": self.left_out} if self.left_out else {}
        children = [span for story in self.stories for span in self._of_story(story, ended)]
        told = self._decided() if len(self.stories) == 1 else {}
        own = Span(
            self.name,
            self.trace_id,
            self.span_id,
            0 if self.parent is None else self.parent.span_id,
            is_server=True,
            began=self.began,
            ended=ended,
            attributes={**attributes, **told, **more},
            error=error,
            state="" if self.parent is None else self.parent.state,
            remote=self.parent is not None,
        )
        return [own, *children[: MAX_SPANS - 1]]

    def _decided(self) -> dict[str, Attribute]:
        return decided(self.stories[0])

    def _of_story(self, story: Story, ended: int) -> Iterator[Span]:
        """One decision with what its adapters did; the only one of a call needs no span."""
        within = self.span_id
        if len(self.stories) > 1:
            decision = self._decision(story, ended)
            within = decision.span_id
            yield decision
        for turn in story.turns:
            yield self._turn(story, turn, within)

    def _decision(self, story: Story, ended: int) -> Span:
        until = ended if story.duration is None else self._at(story.clock + story.duration)
        began = self._at(story.clock)
        return self._child("decision", self.span_id, began, until, decided(story))

    def _at(self, clock: int) -> int:
        """A moment of the clock in nanoseconds since 1970: one clock, so that children fit in."""
        return self.began + clock - self.clock

    def _turn(self, story: Story, turn: Turn, within: int) -> Span:
        began = self._at(story.clock + turn.began)
        attributes: dict[str, Attribute] = {
            "mixer.adapter": turn.adapter,
            "mixer.callback": turn.callback,
            "mixer.outcome": turn.outcome,
        }
        if turn.rule:
            attributes["mixer.rule"] = turn.rule
        name = f"{turn.adapter} {turn.callback}"
        error = turn.outcome == "failed"
        return self._child(name, within, began, began + turn.duration, attributes, error=error)

    def _child(
        self,
        name: str,
        within: int,
        began: int,
        ended: int,
        attributes: dict[str, Attribute],
        *,
        error: bool = False,
    ) -> Span:
        state = "" if self.parent is None else self.parent.state
        return Span(
            name, self.trace_id, _new_id(64), within, False, began, ended, attributes, error, state
        )  # fmt: skip


def decided(story: Story) -> dict[str, Attribute]:
    """What a span tells of a decision."""
    decision = story.decision
    if decision is None:
        return {}
    found: dict[str, Attribute] = {
        "mixer.verdict": decision.verdict.value,
        "mixer.cache.hit": story.from_cache,
    }
    by = {"adapter": decision.adapter, "rule": decision.rule, "reason": decision.reason}
    if decision.verdict is Verdict.ALLOW:
        by = {"rule": decision.rule}
    return found | {f"mixer.{name}": value for name, value in by.items() if value}


def _new_id(bits: int) -> int:
    return random.getrandbits(bits) or 1
