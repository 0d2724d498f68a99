"""The request or the response on its way through the adapters."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mixer.engine.exchange.changes import ToldChanges
from mixer.engine.exchange.inbox import Inbox
from mixer.engine.exchange.side import Piece
from mixer.engine.failure import misled
from mixer.engine.pausing import PAUSED_FOR_EVER
from mixer.proxywasm import LifecycleError, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mixer.attributes import HeaderChange, HeaderMap
    from mixer.engine.adapter import Adapter
    from mixer.engine.exchange.guard import Guard
    from mixer.engine.exchange.side import Side
    from mixer.proxywasm import HttpMessage


def _nothing() -> None:
    """Nobody waits."""


class AnsweredError(Exception):
    """An adapter answered in place of the upstream."""

    def __init__(self, adapter: Adapter) -> None:
        super().__init__(adapter.name)
        self.adapter = adapter


class Flow:
    """One message: what has come through all adapters, and what they hold back.

    Args:
        message: The message.
        sides: Of the adapters that it passes, in order.
        guard: Runs their steps.
        wake: Called when an adapter that waits may go on.
        source_is_complete: Whether the headers were all that the message has.

    Attributes:
        message: As given.
        headers_passed: Whether the headers have come through.
        trailers_passed: Whether trailers have.
        complete: Whether the end has.
    """

    __slots__ = (
        "_began",
        "_body",
        "_guard",
        "_places",
        "_sides",
        "_told_headers",
        "_told_trailers",
        "_wake",
        "complete",
        "headers_passed",
        "message",
        "trailers_passed",
    )

    def __init__(
        self,
        message: HttpMessage,
        sides: Sequence[Side],
        guard: Guard,
        wake: Callable[[], None],
        *,
        source_is_complete: bool = True,
    ) -> None:
        self.message = message
        self._sides = sides
        self._guard = guard
        self._wake = wake
        self._places = [*(side.inbox for side in sides), Inbox()]
        self._began = False
        self._body = b""
        self._told_headers = ToldChanges(source_is_complete=source_is_complete)
        self._told_trailers = ToldChanges()
        self.headers_passed = self.trailers_passed = self.complete = False

    def put(
        self,
        data: bytes | None,
        *,
        headers: bool,
        trailers: HeaderMap | None,
        end_of_stream: bool,
    ) -> None:
        """Take in what came; `run` brings it on.

        Raises:
            LifecycleError: Nothing of this kind may come now.
        """
        box = self._places[0]
        if box.end or headers is self._began:
            raise LifecycleError("a message has headers first, and once, and nothing after its end")
        self._began = True
        box.headers = headers
        if data is not None:
            self.message.received += len(data)
            box.add(data)
        if trailers is not None:
            self.message.trailers, box.trailers = trailers, True
        box.end = end_of_stream

    def run(self) -> None:
        """Bring on what came in, as far as the adapters let it.

        Raises:
            AnsweredError: One of them answered.
            AdapterFailure: One of them failed, and may not be passed over.
        """
        for number, side in enumerate(self._sides):
            self._take(side, self._places[number + 1])
        self._come_out()
        self._check_who_waits()

    def look(self) -> None:
        """See to the adapters that wait: whether they may go on. Raises as `run`."""
        for number, side in enumerate(self._sides):
            if side.pause is not None:
                out = self._places[number + 1]
                outcome = self._guard.run(side, self.message, out, side.resume)
                if outcome is not Outcome.PAUSE:  # else it waits as before
                    self._settle(side, out, outcome)
        self.run()

    def _take(self, side: Side, out: Inbox) -> None:
        """Tell an adapter of what is here."""
        if side.inbox.headers and not side.stopped:
            side.reached()
        if side.bypassed:
            side.go_past(out)
            return
        box, message = side.inbox, self.message
        if box.headers and not side.stopped:
            self._step(side, out, side.headers)
        if box.has_body and not side.stopped:
            self._step(side, out, partial(side.body, message))
        if box.trailers and not side.stopped:
            self._step(side, out, partial(side.trailers, message))

    def _step(self, side: Side, out: Inbox, step: Callable[[], Outcome]) -> None:
        if side.bypassed:
            return
        self._settle(side, out, self._guard.run(side, self.message, out, step))

    def _settle(self, side: Side, out: Inbox, outcome: Outcome | None) -> None:
        """See to what came of a step; None where the adapter is passed over from now on."""
        if outcome is Outcome.CONTINUE:
            side.pass_on(self.message, out)
        elif outcome is Outcome.RESPOND:
            raise AnsweredError(side.adapter)
        elif outcome is Outcome.RESET:
            side.adapter.note_failure("closed_the_stream")
            raise misled(side.adapter.name, "closed_the_stream")
        elif outcome is not None:
            self._hold(side, outcome)

    def _hold(self, side: Side, outcome: Outcome) -> None:
        assert side.context is not None
        side.pause = side.context.pause
        # Where it wants to see the body, it is told of it; else of nothing until it resumes.
        side.stopped = side.last is Piece.HEADERS and outcome is Outcome.PAUSE

    def _come_out(self) -> None:
        out = self._places[-1]
        self.headers_passed = self.headers_passed or out.headers
        self.trailers_passed = self.trailers_passed or out.trailers
        if out.has_body:
            body = out.take_body()
            self.message.sent += len(body)
            self._body += body
            self._guard.gone_on(self.message)
        self.complete = self.complete or out.end

    def _check_who_waits(self) -> None:
        for side in self._sides:
            if side.pause is None or side.context is None:
                continue
            if side.is_held_for_ever:
                side.adapter.note_failure(PAUSED_FOR_EVER)
                raise misled(side.adapter.name, PAUSED_FOR_EVER)
            side.context.wait(self._wake)

    def let_go(self) -> None:
        """The stream is over: nothing is held any more, and nobody is to be woken."""
        self._sides, self._wake = (), _nothing

    def take_body(self) -> bytes:
        """What of the body has come through since the last call."""
        body, self._body = self._body, b""
        return body

    def header_changes(self) -> tuple[HeaderChange, ...]:
        """How the headers differ from what was told before, first of all from the original."""
        return self._told_headers.news(self.message.headers)

    def trailer_changes(self) -> tuple[HeaderChange, ...]:
        """Likewise of the trailers; none where there are none."""
        trailers = self.message.trailers
        return () if trailers is None else self._told_trailers.news(trailers)

    @property
    def holds(self) -> bool:
        """Whether an adapter holds something back."""
        return any(side.pause is not None for side in self._sides)

    @property
    def waiting(self) -> Adapter | None:
        """The first adapter that holds something back."""
        return next((side.adapter for side in self._sides if side.pause is not None), None)

    @property
    def may_resume(self) -> bool:
        """Whether one of them may be resumed by something else than a further piece."""
        waiting = (side.context for side in self._sides if side.pause is not None)
        return any(one.vm.may_resume(one) for one in waiting if one is not None)

    @property
    def wants_more(self) -> bool:
        """Whether one of them is told of what comes further, which may have it let go."""
        return any(side.wants_more for side in self._sides)

    @property
    def wants_body(self) -> bool:
        """Whether an adapter holds the headers back until it has seen the body."""
        return any(side.wants_body for side in self._sides)

    @property
    def held_bytes(self) -> int:
        """Bytes of the body that adapters hold back; what has come through is no longer theirs."""
        kept = sum(len(place.body) for place in self._places)
        return kept + sum(len(side.held) for side in self._sides)
