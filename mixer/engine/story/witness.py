"""A trace that also keeps who read what, and how long each adapter took."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from mixer.engine.cache.reads import BodySizeRead, HeaderCountRead, UnderneathRead
from mixer.engine.cache.trace import Trace
from mixer.engine.failure import AdapterFailure
from mixer.engine.story.changes import Changes
from mixer.engine.story.story import Story, Turn
from mixer.proxywasm import MapType
from mixer.vm import TrapError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixer.engine.adapter import Adapter
    from mixer.engine.cache.reads import Read
    from mixer.engine.decision import Decision
    from mixer.engine.request import Request
    from mixer.proxywasm import Outcome

MAX_LOOKS = 512
"""Of one story."""

MAX_LOOK_BYTES = 16_384
"""Of the names in them: modules may take them from requests, and a thousand stories are kept."""

MAX_TURNS = 256
"""Of one story; a body may come in many pieces."""

_OF_EVERY_MODULE = (HeaderCountRead, BodySizeRead, UnderneathRead)
"""The host notes them for every module, whatever that looks at."""


class Witness(Trace):
    """Notes for one decision, and its story.

    Args:
        story: Where to keep it.
        request: What is decided about.
    """

    __slots__ = ("_changes", "_look_bytes", "_looks", "story")

    def __init__(self, story: Story, request: Request) -> None:
        super().__init__()
        self.story = story
        self._changes = Changes(request)
        self._looks = self._look_bytes = 0

    def acting(self, adapter: Adapter, callback: str, step: Callable[[], Outcome]) -> Outcome:
        """Also keep how long it took and what came of it; raises what the step raises."""
        self.by = adapter
        began = time.perf_counter_ns()
        outcome = "answered"
        try:
            result = step()
            outcome = result.name.lower()
            return result
        except (TrapError, AdapterFailure):
            outcome = "failed"
            self._changes.undone(adapter.name)
            raise
        finally:
            self._took(adapter, callback, began, outcome)

    def told(self, decision: Decision) -> Decision:
        """See `Trace`: with its story, which ends here."""
        if decision.story is not None:
            return decision
        self.story.end(decision)
        return replace(decision, story=self.story)

    def _took(self, adapter: Adapter, callback: str, began: int, outcome: str) -> None:
        story, now = self.story, time.perf_counter_ns()
        if len(story.turns) < MAX_TURNS:
            since = began - story.clock
            turn = Turn(adapter.name, adapter.rule, callback, since, now - began, outcome)
            story.turns.append(turn)

    def _note(self, read: Read) -> None:
        self._look(read)
        super()._note(read)

    def _look(self, read: Read) -> None:
        if self.by is None or isinstance(read, _OF_EVERY_MODULE):
            return
        looks = self.story.reads.setdefault(self.by.name, {})
        if read in looks:
            return
        if self._looks >= MAX_LOOKS or self._look_bytes + read.size > MAX_LOOK_BYTES:
            self.story.left_out += 1
            return
        looks[read] = self._changes.seen(read) if self._with_changes else None
        self._looks += 1
        self._look_bytes += read.size

    def changed_header(self, map_type: MapType, name: bytes | None) -> None:
        """See `mixer.proxywasm.Reads`."""
        super().changed_header(map_type, name)
        if map_type is MapType.HTTP_REQUEST_HEADERS:
            self._changes.made(name, "" if self.by is None else self.by.name)

    def saw_clock(self) -> None:
        """See `mixer.proxywasm.Reads`."""
        self._beyond("time")
        super().saw_clock()

    def saw_random(self) -> None:
        """See `mixer.proxywasm.Reads`."""
        self._beyond("random")
        super().saw_random()

    def saw_volatile(self) -> None:
        """See `mixer.proxywasm.Reads`."""
        self._beyond("shared state")
        super().saw_volatile()

    def _beyond(self, what: str) -> None:
        if self.by is not None:
            self.story.beyond.setdefault(self.by.name, {})[what] = None
