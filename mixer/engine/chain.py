"""Running one request through the adapters.

The order is Envoy's: the headers pass through every adapter, then the body does; an adapter that
holds the headers back sees the body first. The first answer of an adapter ends the chain. Where an
adapter pauses the request for a callout, the chain waits as well; see `mixer.engine.pending`.
"""

from collections.abc import Callable, Generator, Iterable, Iterator

from mixer.engine.adapter import Adapter
from mixer.engine.agreement import granted_by, said_by, said_themselves, validity_of
from mixer.engine.answer_path import AnswerPath
from mixer.engine.cache.trace import Trace
from mixer.engine.decision import Decision, Response, Verdict
from mixer.engine.failure import AdapterFailure, misled
from mixer.engine.pausing import PAUSED_FOR_EVER, Paused, living, may_resume
from mixer.engine.request import Request
from mixer.engine.response_headers import response_headers
from mixer.engine.rules import NOTHING, Applied, Rules
from mixer.engine.validity import Validity
from mixer.proxywasm import (
    HttpMessage,
    HttpStream,
    MapType,
    Outcome,
    SavedStream,
    StreamContext,
)
from mixer.vm import TrapError

FAILURE_STATUS = 503
"""What Envoy answers for a Wasm filter that failed closed."""


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
        adapters: In the order in which they run.
        request: What to decide about.
        trace: Where to note what the decision follows from, or None.
        rules: Change the headers of what the adapters allow.
    """

    __slots__ = (
        "_adapters",
        "_before",
        "_bodies",
        "_failed_open",
        "_open",
        "_request",
        "_rules",
        "_stream",
        "_trace",
    )

    def __init__(
        self,
        adapters: Iterable[Adapter],
        request: Request,
        trace: Trace | None = None,
        rules: Rules | None = None,
    ) -> None:
        self._adapters = adapters
        self._request = request
        self._trace = trace
        self._rules = rules
        attributes = request.attributes if trace is None else trace.bag(request.attributes)
        self._stream = HttpStream(HttpMessage(request.headers, request.body or b""), attributes)
        self._open: dict[Adapter, StreamContext] = {}
        self._bodies: list[Adapter] = []
        self._failed_open: list[str] = []
        self._before: SavedStream | None = None

    def run(self) -> Steps:
        """Decide; where an adapter pauses the request, tell which, and go on when it may."""
        try:
            for adapter in self._matching():
                if self._begin(self._headers, adapter) is Outcome.PAUSE:
                    yield from self._wait(adapter)
            for adapter in self._bodies:
                if adapter not in self._open:
                    continue
                if self._begin(self._body, adapter) is Outcome.PAUSE:
                    yield from self._wait(adapter)
            decision = self._allowed()
        except Answer as answer:
            decision = yield from self._finish_answer(answer.adapter)
        except AdapterFailure as failure:
            decision = self.failed(failure)
        finally:
            self._delete_contexts()
        return decision

    def _matching(self) -> Iterator[Adapter]:
        attributes = self._stream.attributes
        for adapter in self._adapters:
            if adapter.matches is None or adapter.matches(attributes):
                yield adapter

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
        if self._trace is not None:
            self._trace.by = adapter
        try:
            return step(adapter)
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

    def _names(self) -> tuple[str, ...]:
        return tuple(adapter.name for adapter in self._open)

    def _allowed(self) -> Decision:
        names, stream = self._names(), self._stream
        said = response_headers(stream.filter_state) if stream.filter_state else ()
        applied = NOTHING if self._rules is None else self._apply(self._rules)
        return Decision(
            Verdict.ALLOW,
            adapters=names,
            adapter=names[-1] if names else "",
            request_headers=stream.request.headers.changes(
                source_is_complete=self._request.headers_are_complete
            ),
            request_operations=applied.request,
            response_operations=said + applied.response,
            body=stream.request.body if stream.request.body_changed else None,
            failed_open=tuple(self._failed_open),
            validity=self._validity(),
            granted=granted_by(self._open) if stream.filter_state else None,
        )

    def _apply(self, rules: Rules) -> Applied:
        stream, trace = self._stream, self._trace
        applied = rules.apply(stream.request.headers, stream.attributes)
        if trace is not None:  # what is changed follows from what was there
            for one in applied.request:
                trace.changed_header(MapType.HTTP_REQUEST_HEADERS, one.name)
        return applied

    def _validity(self) -> Validity | None:
        validity = None if self._failed_open else validity_of(self._open)
        trace = self._trace
        if trace is None or validity is None:
            return validity
        trace.is_valid = True
        if not said_themselves(self._open, trace.asked_time):
            trace.volatile = True
        # What the configuration says is not told to callers either where it cannot hold.
        told = not trace.volatile or said_themselves(self._open, self._open)
        return validity if told else None

    def _finish_answer(self, adapter: Adapter) -> Steps:
        """Let the answer pass the response callbacks of the adapters that have any, as in Envoy."""
        try:
            response = yield from self._passed_back()
        except AdapterFailure as failure:
            return self.failed(failure)
        return self._answered(adapter, response)

    def _passed_back(self) -> Generator[Paused, None, Response]:
        local = self._stream.local_response
        assert local is not None
        if self._trace is not None:
            self._trace.by = None
        interested = [a for a, c in self._open.items() if _sees_responses(a, c)]
        if not interested:
            return Response(local.status, local.headers, local.body)
        return (yield from AnswerPath(self._stream, self._open).run(reversed(interested)))

    def _answered(self, adapter: Adapter, response: Response) -> Decision:
        local = self._stream.local_response
        assert local is not None
        adapter.stats.denied += 1
        context = self._open.get(adapter)
        return Decision(
            Verdict.DENY,
            adapters=self._names(),
            adapter=adapter.name,
            reason=local.details,
            response=response,
            failed_open=tuple(self._failed_open),
            validity=self._validity(),
            code=None if context is None else said_by(adapter, context).code,
        )

    def failed(self, failure: AdapterFailure) -> Decision:
        """The decision where an adapter failed that may not be passed over."""
        return Decision(
            Verdict.ERROR,
            adapters=self._names(),
            adapter=failure.adapter,
            reason=failure.reason,
            response=Response(FAILURE_STATUS),
            failed_open=tuple(self._failed_open),
        )

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


def _sees_responses(adapter: Adapter, context: StreamContext) -> bool:
    """Whether an answer passes an adapter; one that lost its VM and fails open is passed over."""
    vm = context.vm
    return vm.callbacks.sees_responses and not (vm.closed and adapter.fails_open)


def _settle(adapter: Adapter, context: StreamContext, outcome: Outcome) -> Outcome:
    """Go on, wait, or end the chain on an outcome that lets nothing pass."""
    if outcome is Outcome.CONTINUE or (outcome is Outcome.PAUSE and may_resume(context)):
        return outcome
    if outcome is Outcome.RESPOND:
        raise Answer(adapter)
    reason = "closed_the_stream" if outcome is Outcome.RESET else PAUSED_FOR_EVER
    raise misled(adapter.name, reason)
