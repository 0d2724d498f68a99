"""Running one request through the adapters.

The order is Envoy's: the headers pass through every adapter, then the body does; an adapter that
holds the headers back sees the body first. The first answer of an adapter ends the chain. Where an
adapter pauses the request for a callout, the chain waits as well; see `mixer.engine.pending`.
"""

from collections.abc import Callable, Collection, Generator
from functools import partial

from mixer.engine.adapter import Adapter
from mixer.engine.answer_path import AnswerPath, sees_responses
from mixer.engine.cache.trace import Trace
from mixer.engine.conclusion import Conclusion
from mixer.engine.decision import Decision, Response
from mixer.engine.durable import Records, records_of
from mixer.engine.failure import AdapterFailure, misled
from mixer.engine.pausing import PAUSED_FOR_EVER, Paused, living, may_resume
from mixer.engine.request import BODY_WITHHELD, Request
from mixer.engine.rules import Rules
from mixer.engine.selection import Selector
from mixer.proxywasm import (
    HttpMessage,
    HttpStream,
    Outcome,
    SavedStream,
    StreamContext,
)
from mixer.vm import TrapError

_CALLBACKS = {
    "_headers": "request_headers",
    "_body": "request_body",
    "_resumed": "resumed",
}
"""By step, as a story has them."""

_ENDS = (Outcome.RESPOND, Outcome.RESET)

Steps = Generator[Paused, None, Decision]
"""Makes a decision; gives whatever pauses it."""

Step = Callable[[Adapter], Outcome]
"""One callback of one adapter; CONTINUE or PAUSE, and all else is raised."""


class Answer(Exception):  # noqa: N818 - control flow: an adapter ended the chain
    """An adapter answered instead of the upstream."""

    def __init__(self, adapter: Adapter) -> None:
        super().__init__(adapter.name)
        self.adapter = adapter


class Chain:
    """One request on its way through the adapters that are for it.

    Args:
        selector: Which adapters run, and in which order.
        request: What to decide about.
        trace: Where to note what the decision follows from, or None.
        rules: Change the headers of what the adapters allow.
    """

    __slots__ = (
        "_before",
        "_bodies",
        "_failed_open",
        "_open",
        "_request",
        "_rules",
        "_selector",
        "_stream",
        "_trace",
    )

    def __init__(
        self,
        selector: Selector,
        request: Request,
        trace: Trace | None = None,
        rules: Rules | None = None,
    ) -> None:
        self._selector = selector
        self._request = request
        self._trace = trace
        self._rules = rules
        attributes = request.attributes if trace is None else trace.bag(request.attributes)
        message = HttpMessage(request.headers, request.body or b"")
        self._stream = HttpStream(message, attributes)
        if request.has_body and request.body is None:
            self._stream.filter_state.update(BODY_WITHHELD)
        self._open: dict[Adapter, StreamContext] = {}
        self._bodies: list[Adapter] = []
        self._failed_open: list[str] = []
        self._before: SavedStream | None = None

    def run(self) -> Steps:
        """Decide; where an adapter pauses the request, tell which, and go on when it may."""
        try:
            for adapter in self._selector.select(self._stream.attributes):
                if self._begin(self._headers, adapter) is Outcome.PAUSE:
                    yield from self._wait(adapter)
            for adapter in self._bodies:
                if adapter not in self._open:
                    continue
                if self._begin(self._body, adapter) is Outcome.PAUSE:
                    yield from self._wait(adapter)
            decision = self._conclusion().allowed()
        except Answer as answer:
            decision = yield from self._finish_answer(answer.adapter)
        except AdapterFailure as failure:
            decision = self.failed(failure)
        finally:
            self._delete_contexts()
        return decision if self._trace is None else self._trace.told(decision)

    def _begin(self, step: Step, adapter: Adapter) -> Outcome:
        """Run a step of one adapter: a callback, and what it may wait for afterwards."""
        self._before = self._stream.save() if adapter.fails_open else None
        return self._guarded(step, adapter)

    def _wait(self, adapter: Adapter) -> Generator[Paused, None, None]:
        """Wait as long as the adapter pauses the request."""
        outcome = Outcome.PAUSE
        while outcome is Outcome.PAUSE:
            yield Paused(adapter, self._open[adapter])
            outcome = self._guarded(self._resumed, adapter)

    def _guarded(self, step: Step, adapter: Adapter) -> Outcome:
        """Run a part of a step: CONTINUE or PAUSE.

        Raises:
            Answer: The adapter answered.
            AdapterFailure: It failed, and may not be passed over.
        """
        try:
            return self._acting(step, adapter)
        except TrapError as trap:
            self._open.pop(adapter, None)
            failure = adapter.crashed(trap)
        except AdapterFailure as error:
            failure = error
            adapter.note_failure(error.reason)
        if self._before is None or not failure.may_fail_open:
            raise failure
        self._open.pop(adapter, None)
        self._stream.restore(self._before)
        self._failed_open.append(adapter.name)
        return Outcome.CONTINUE

    def _acting(self, step: Step, adapter: Adapter) -> Outcome:
        trace = self._trace
        if trace is None:
            return step(adapter)
        return trace.acting(adapter, _CALLBACKS[step.__name__], partial(step, adapter))

    def _headers(self, adapter: Adapter) -> Outcome:
        adapter.stats.requests += 1
        trace = self._trace
        if trace is not None:
            trace.told_headers()
        context = self._open[adapter] = adapter.open(self._stream, trace)
        outcome = context.on_request_headers(end_of_stream=not self._request.has_body)
        if outcome is Outcome.HOLD:
            return self._hold(adapter, context)
        if self._request.body is not None and self._request.has_body:
            self._bodies.append(adapter)
        return _settle(adapter, context, outcome)

    def _hold(self, adapter: Adapter, context: StreamContext) -> Outcome:
        if self._request.body is not None:
            return self._body(adapter)
        if may_resume(context):
            return Outcome.PAUSE
        raise misled(adapter.name, "waits_for_a_body_that_the_proxy_did_not_send")

    def _body(self, adapter: Adapter) -> Outcome:
        context = living(adapter, self._open[adapter])
        if self._trace is not None:
            self._trace.told_body()
        outcome = context.on_request_body(end_of_stream=self._request.body_complete)
        return _settle(adapter, context, outcome)

    def _resumed(self, adapter: Adapter) -> Outcome:
        context = self._open[adapter]
        outcome = context.on_resume()
        if outcome not in _ENDS:  # an end that came before the VM's stands: it may be a denial
            living(adapter, context)
        return _settle(adapter, context, outcome)

    def _finish_answer(self, adapter: Adapter) -> Steps:
        """Let the answer pass the response callbacks of the adapters that have any, as in Envoy."""
        try:
            response = yield from self._passed_back()
        except AdapterFailure as failure:
            return self.failed(failure)
        return self._conclusion().answered(adapter, response)

    def _passed_back(self) -> Generator[Paused, None, Response]:
        local = self._stream.local_response
        assert local is not None
        if self._trace is not None:
            self._trace.by = None
        interested = [a for a, c in self._open.items() if sees_responses(a, c)]
        if not interested:
            return Response(local.status, local.headers, local.body)
        return (yield from AnswerPath(self._stream, self._open).run(reversed(interested)))

    def _conclusion(self) -> Conclusion:
        return Conclusion(
            self._request, self._stream, self._open, self._failed_open, self._trace, self._rules
        )

    def failed(self, failure: AdapterFailure) -> Decision:
        """The decision where an adapter failed that may not be passed over."""
        decision = self._conclusion().failed(failure)
        return decision if self._trace is None else self._trace.told(decision)

    def records(self) -> Collection[Records]:
        """See `mixer.engine.pending.Deciding`."""
        return records_of(self._stream.tickets, self._open)

    def _delete_contexts(self) -> None:
        if self._trace is not None:
            self._trace.decided = True
        for adapter, context in self._open.items():
            if context.vm.closed:
                continue
            try:
                context.delete()
            except TrapError as trap:  # the decision stands; only the VM is lost
                adapter.crashed(trap)
                if self._trace is not None:
                    self._trace.volatile = True


def _settle(adapter: Adapter, context: StreamContext, outcome: Outcome) -> Outcome:
    """Go on, wait, or end the chain on an outcome that lets nothing pass."""
    if outcome is Outcome.CONTINUE or (outcome is Outcome.PAUSE and may_resume(context)):
        return outcome
    if outcome is Outcome.RESPOND:
        raise Answer(adapter)
    reason = "closed_the_stream" if outcome is Outcome.RESET else PAUSED_FOR_EVER
    raise misled(adapter.name, reason)
