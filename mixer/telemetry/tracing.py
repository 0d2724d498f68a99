"""Which calls get spans, and where those wait to be sent.

A call that is not sampled costs a look at its headers; the engine then asks one question for each
request, whether the call that it is part of has a span.
"""

from __future__ import annotations

import random
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING

from mixer.engine.story import Wanted
from mixer.telemetry.span import CallSpan
from mixer.telemetry.trace_context import decided_alone, parent_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixer.engine import Request
    from mixer.engine.story import Story
    from mixer.telemetry.observed import SpanCounts
    from mixer.telemetry.span import Attribute, Span
    from mixer.telemetry.trace_context import Find

MAX_WAITING = 4096
"""Spans that wait to be sent; more are dropped."""

BATCH = 512
"""Spans that are sent at once."""

_current: ContextVar[CallSpan | None] = ContextVar("mixer_call_span", default=None)
_headers: ContextVar[Callable[[], Find] | None] = ContextVar("mixer_call_headers", default=None)


def enter_call(headers: Callable[[], Find]) -> None:
    """What is decided in this task from now on is asked for by a call with these headers."""
    _headers.set(headers)


def trace_of_call() -> str | None:
    """The trace of the call that this task answers, in 32 hexadecimal digits, if it has one."""
    span = _current.get()
    if span is not None:
        return f"{span.trace_id:032x}"
    headers = _headers.get()
    parent = None if headers is None else parent_of(headers())
    return None if parent is None else f"{parent.trace_id:032x}"


class SpanQueue:
    """Spans that are to be sent; belongs to the thread of the front ends.

    Args:
        counts: What becomes of them.
        most: How many may wait.

    Attributes:
        on_batch: Called when there are enough for a batch.
    """

    def __init__(self, counts: SpanCounts, most: int = MAX_WAITING) -> None:
        self._counts = counts
        self._most = most
        self._waiting: deque[Span] = deque()
        self.on_batch: Callable[[], None] = _nobody

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, spans: list[Span]) -> None:
        """Take the spans of a call, all or, where there is no room, none."""
        if len(self._waiting) + len(spans) > self._most:
            self._counts.dropped += len(spans)
            return
        self._waiting.extend(spans)
        if len(self._waiting) >= BATCH:
            self.on_batch()

    def take(self) -> list[Span]:
        """The first ones, for one message; they are no longer here."""
        return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]


def _nobody() -> None:
    """Nobody waits."""


class Tracer:
    """Makes the spans of calls.

    Args:
        queue: Takes them.
        sampling: The share of the calls without a decision of their callers that get spans, 0 to 1.
        chance: Gives numbers from 0 to 1, without 1.
    """

    def __init__(
        self, queue: SpanQueue, sampling: float, chance: Callable[[], float] = random.random
    ) -> None:
        self._queue = queue
        self._sampling = sampling
        self._chance = chance

    def begin(self, name: str, find: Find) -> CallSpan | None:
        """The span of a call that begins; None where it gets none.

        Args:
            name: Of the span.
            find: The headers of the call.
        """
        parent = parent_of(find)
        sampled = decided_alone(find) if parent is None else parent.sampled
        if sampled is None:
            sampled = self._chance() < self._sampling
        return CallSpan(name, parent) if sampled else None

    def enter(self, span: CallSpan) -> None:
        """What is decided in this task from now on is part of the call."""
        _current.set(span)

    def end(self, span: CallSpan, attributes: dict[str, Attribute], *, error: bool) -> None:
        """A call is over: have its spans sent; nothing in this task is part of it any more."""
        _current.set(None)
        self._queue.put(span.end(attributes, error=error))

    def wants(self, _request: Request) -> Wanted:
        """See `mixer.engine.story.Sampler`."""
        return Wanted.NOTHING if _current.get() is None else Wanted.SPANS

    def begins(self, story: Story) -> None:
        """Take the story of a decision into the span of the call that it is made for."""
        span = _current.get()
        if span is not None and Wanted.SPANS in story.wanted:
            span.add(story)
