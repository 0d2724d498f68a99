"""One HTTP stream through the adapters that are for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mixer.engine.answer_path import response_of, sees_responses
from mixer.engine.conclusion import Conclusion
from mixer.engine.decision import Decision, HeaderOperation, Response, Verdict
from mixer.engine.durable import records_of
from mixer.engine.exchange.ending import end_streams
from mixer.engine.exchange.flow import AnsweredError, Flow
from mixer.engine.exchange.guard import Guard
from mixer.engine.exchange.ruling import Ruling
from mixer.engine.exchange.side import RequestSide, ResponseSide
from mixer.engine.exchange.way_back import WayBack
from mixer.engine.failure import AdapterFailure, misled
from mixer.engine.request import BODY_WITHHELD
from mixer.engine.sees import Sees
from mixer.proxywasm import HttpMessage, HttpStream, LifecycleError, StreamContext, local_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from mixer.attributes import HeaderMap
    from mixer.engine.adapter import Adapter
    from mixer.engine.durable import Records
    from mixer.engine.request import Request
    from mixer.engine.rules import Rules
    from mixer.engine.selection import Slot
    from mixer.engine.story import Witness
    from mixer.engine.verdict_counts import VerdictCounts

TOO_LARGE = {True: ("request_payload_too_large", 413), False: ("response_payload_too_large", 500)}
"""What Envoy answers where more of a request's or of a response's body is held back than may be."""

GONE = "caller_gone"
"""The reason of a stream that ended before its request was let pass."""


def _nothing() -> None:
    """Nobody waits."""


class HttpExchange:
    """A stream; made by `Engine.open`.

    What comes of it is in `request` and `response`, and in `answer` once an adapter answered or
    failed: then nothing of what was held back goes on any more. An order of calls that Envoy never
    makes raises LifecycleError.

    Args:
        slots: The adapters, in the order in which the request passes those that run.
        request: Headers and attributes; body and flags do not count.
        verdicts: Counts what comes of it.
        rules: Change the headers of what the adapters let pass.
        max_held_bytes: Of either body, that may be held back.
        witness: Keeps how it was decided, or None.

    Attributes:
        request: The request as it has come through.
        response: The response, once its headers came.
        answer: What the client gets in place of the upstream's response. If headers of that went on
            already (`Flow.headers_passed` of the response), all that is left is to break it off.
        on_change: Called when something changed by itself; never from within a call of this.
    """

    __slots__ = (
        "_asked",
        "_closed",
        "_failed_open",
        "_guard",
        "_max_held",
        "_open",
        "_returning",
        "_ruling",
        "_sides",
        "_stream",
        "_verdicts",
        "_witness",
        "answer",
        "on_change",
        "request",
        "response",
    )

    def __init__(
        self,
        slots: Sequence[Slot],
        request: Request,
        verdicts: VerdictCounts,
        rules: Rules | None,
        max_held_bytes: int,
        witness: Witness | None = None,
    ) -> None:
        message = HttpMessage(request.headers)
        attributes = request.attributes if witness is None else witness.bag(request.attributes)
        self._asked = request
        self._verdicts = verdicts
        self._max_held = max_held_bytes
        self._witness = witness
        self._stream = HttpStream(message, attributes)
        if request.has_body and request.body is None:
            self._stream.filter_state.update(BODY_WITHHELD)
        self._open: dict[Adapter, StreamContext] = {}
        self._failed_open: list[str] = []
        self._guard = Guard(self._stream, self._open, self._failed_open, witness)
        self._ruling = Ruling(rules, self._stream)
        self._returning: WayBack | None = None
        self._closed = False
        self._sides = [RequestSide(slot, attributes, self._begin) for slot in slots]
        complete = request.headers_are_complete
        self.request = Flow(
            message, self._sides, self._guard, self._look, source_is_complete=complete
        )
        self.response: Flow | None = None
        self.answer: Decision | None = None
        self.on_change: Callable[[], None] = _nothing

    def request_headers(self, *, end_of_stream: bool) -> None:
        """The headers came, those that the request has."""
        self._put(self.request, headers=True, end_of_stream=end_of_stream)

    def _begin(self, adapter: Adapter) -> StreamContext:
        adapter.stats.requests += 1
        context = self._open[adapter] = adapter.open(self._stream, self._witness)
        return context

    def request_body(self, data: bytes, *, end_of_stream: bool) -> None:
        """A piece of the body came."""
        self._put(self.request, data, end_of_stream=end_of_stream)

    def request_trailers(self, trailers: HeaderMap) -> None:
        """The trailers came, and with them the end."""
        self._put(self.request, trailers=trailers, end_of_stream=True)

    def response_headers(self, headers: HeaderMap, *, end_of_stream: bool) -> None:
        """The headers of the upstream's response came."""
        if self.response is not None:
            raise LifecycleError("the headers of a response came before")
        message = self._stream.response = HttpMessage(headers)
        seeing = [(a, c) for a, c in self._open.items() if sees_responses(a, c)]
        sides = [ResponseSide(adapter, context) for adapter, context in reversed(seeing)]
        self.response = Flow(message, sides, self._guard, self._look)
        self._put(self.response, headers=True, end_of_stream=end_of_stream)

    def response_body(self, data: bytes, *, end_of_stream: bool) -> None:
        """A piece of its body came."""
        self._put(self._responding(), data, end_of_stream=end_of_stream)

    def response_trailers(self, trailers: HeaderMap) -> None:
        """Its trailers came, and with them the end."""
        self._put(self._responding(), trailers=trailers, end_of_stream=True)

    def _responding(self) -> Flow:
        if self.response is None:
            raise LifecycleError("a part of a response before its headers")
        return self.response

    def _put(
        self,
        flow: Flow,
        data: bytes | None = None,
        *,
        headers: bool = False,
        trailers: HeaderMap | None = None,
        end_of_stream: bool,
    ) -> None:
        """Take in what came, and bring it on."""
        self._run(self._look_at_all)  # what may go on goes before what comes
        if self.answer is not None or self._returning is not None:
            return
        flow.put(data, headers=headers, trailers=trailers, end_of_stream=end_of_stream)
        self._run(flow.run)
        if self.answer is None and flow.held_bytes > self._max_held:
            self._too_large(flow)

    def _look(self) -> None:
        """An adapter that waits may go on; called by the scheduler."""
        if self._closed or self.answer is not None:
            return
        if self._returning is not None:
            self._go_back(self._returning)
        else:
            self._run(self._look_at_all)
        self.on_change()

    def _look_at_all(self) -> None:
        for flow in (self.request, self.response):
            if flow is not None and flow.holds:
                flow.look()

    def _run(self, step: Callable[[], None]) -> None:
        """Bring something on, and see to what came of it."""
        if self._closed or self.answer is not None or self._returning is not None:
            return
        try:
            step()
        except AnsweredError as answered:
            self._answered(answered.adapter)
        except AdapterFailure as failure:
            self._settle(self._conclusion().failed(failure))
        else:
            self._apply_rules()

    def _apply_rules(self) -> None:
        """Have rules change the headers once those have come through, before anybody looks."""
        if self.request.headers_passed:
            self._ruling.request(self.request.message.headers)
        if self.response is not None and self.response.headers_passed:
            self._ruling.response(self.response.message.headers)

    @property
    def response_operations(self) -> tuple[HeaderOperation, ...]:
        """What adapters and rules said beforehand of the response's headers.

        They are worked into those of `response`; whoever never shows one has to tell them.
        """
        return self._ruling.response_operations

    def _settle(self, decision: Decision) -> None:
        if self._witness is not None:
            decision = self._witness.told(decision)
        self.answer, self._returning = decision, None
        self._verdicts.add(decision)

    def _answered(self, adapter: Adapter) -> None:
        """Let an answer pass the response callbacks of the adapters that have any, as in Envoy."""
        if self.response is None:
            self._returning = WayBack(adapter, self._stream, self._open, self._look)
            self._go_back(self._returning)
            return
        local = self._stream.local_response
        assert local is not None
        message = self._stream.response = local_reply(local)  # it takes the upstream's place as is
        self._settle(self._conclusion().answered(adapter, response_of(message)))

    def _go_back(self, way: WayBack) -> None:
        try:
            response = way.go_on()
        except AdapterFailure as failure:
            self._settle(self._conclusion().failed(failure))
        else:
            if response is not None:
                self._settle(self._conclusion().answered(way.adapter, response))

    def _too_large(self, flow: Flow) -> None:
        reason, status = TOO_LARGE[flow is self.request]
        waiting = flow.waiting
        name = "" if waiting is None else waiting.name
        failed = self._conclusion().failed(misled(name, reason))
        self._settle(replace(failed, response=Response(status)))

    def _conclusion(self) -> Conclusion:
        return Conclusion(self._asked, self._stream, self._open, self._failed_open, None, None)

    def records(self) -> Collection[Records]:
        """What the adapters recorded in the ledger so far."""
        return records_of(self._stream.tickets, self._open)

    @property
    def decision(self) -> Decision:
        """What was decided so far; of an allowed request without what was changed."""
        return self._allowed() if self.answer is None else self.answer

    @property
    def sees(self) -> Sees:
        """What of the stream the adapters have callbacks for that may run, or rules change.

        Before the request's headers came to an adapter it is not known whether it runs.
        """
        seen = Sees.NOTHING
        for side in self._sides:
            if not side.bypassed:
                seen |= side.adapter.sees
        return seen | Sees.RESPONSE_HEADERS if self.response_operations else seen

    def take_cleared_route(self) -> bool:
        """Whether a module asked to have the route selected anew, since the last call."""
        cleared, self._stream.route_cleared = self._stream.route_cleared, False
        return cleared

    @property
    def may_go_on(self) -> bool:
        """Whether what is held back may be let go by something else than a further piece."""
        flows = (self.request, self.response)
        return self.is_answering or any(f.may_resume for f in flows if f is not None)

    @property
    def is_answering(self) -> bool:
        """Whether an adapter answered, and the answer is on its way back through the others."""
        return self._returning is not None

    @property
    def held_by(self) -> str:
        """The name of an adapter that holds something back, or empty."""
        if self._returning is not None:
            return self._returning.held_by
        flows = (self.request, self.response)
        found = (flow.waiting for flow in flows if flow is not None)
        return next((adapter.name for adapter in found if adapter is not None), "")

    def give_up(self, reason: str) -> None:
        """End it: nobody waits any longer. What was answered already stands.

        Args:
            reason: A short word for the decision log.
        """
        if self.answer is None:
            if self._returning is not None:
                self._returning.close()
            self._settle(self._conclusion().failed(misled(self.held_by, reason)))

    def close(self) -> Decision:
        """End the stream: ``proxy_on_log``, ``proxy_on_done`` and ``proxy_on_delete``.

        Returns:
            What was decided; of an allowed request without what was changed.
        """
        if not self._closed:
            if not self.request.headers_passed:
                self.give_up(GONE)
            elif self.answer is None:
                self._settle(self._allowed())
            self._closed = True
            end_streams(self._open)
            self._let_go()
        assert self.answer is not None
        return self.answer

    def _let_go(self) -> None:
        """Break the circles of references, so that memory is free at once."""
        self.on_change, self._sides = _nothing, []
        self.request.let_go()
        if self.response is not None:
            self.response.let_go()

    def _allowed(self) -> Decision:
        ran = tuple(self._open)
        return Decision(
            Verdict.ALLOW,
            adapters=tuple(adapter.name for adapter in ran),
            adapter=ran[-1].name if ran else "",
            rule=ran[-1].rule if ran else "",
            failed_open=tuple(self._failed_open),
        )
