"""Running one request through the adapters.

The order is Envoy's: the headers pass through every adapter, then the body does; an adapter that
holds the headers back sees the body first. The first answer of an adapter ends the chain.
"""

from collections.abc import Callable, Iterable, Iterator

from mixer.engine.adapter import Adapter
from mixer.engine.answer_path import AnswerPath
from mixer.engine.decision import Decision, Response, Verdict
from mixer.engine.failure import AdapterFailure, misled
from mixer.engine.request import Request
from mixer.engine.response_headers import response_headers
from mixer.proxywasm import HttpMessage, HttpStream, Outcome, StreamContext
from mixer.vm import TrapError

FAILURE_STATUS = 503
"""What Envoy answers for a Wasm filter that failed closed."""


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
    """

    __slots__ = ("_adapters", "_failed_open", "_open", "_request", "_stream")

    def __init__(self, adapters: Iterable[Adapter], request: Request) -> None:
        self._adapters = adapters
        self._request = request
        self._stream = HttpStream(
            HttpMessage(request.headers, request.body or b""), request.attributes
        )
        self._open: dict[Adapter, StreamContext] = {}
        self._failed_open: list[str] = []

    def run(self) -> Decision:
        """Decide."""
        try:
            waiting = [a for a in self._matching() if self._guarded(self._headers, a)]
            for adapter in waiting:
                self._guarded(self._body, adapter)
            decision = self._allowed()
        except Answer as answer:
            decision = self._finish_answer(answer.adapter)
        except AdapterFailure as failure:
            decision = self._failed(failure)
        finally:
            self._delete_contexts()
        return decision

    def _matching(self) -> Iterator[Adapter]:
        attributes = self._request.attributes
        for adapter in self._adapters:
            if adapter.matches is None or adapter.matches(attributes):
                yield adapter

    def _guarded(self, step: Callable[[Adapter], bool], adapter: Adapter) -> bool:
        """Run a step of one adapter; whether it still waits for the body.

        Raises:
            Answer: It answered.
            AdapterFailure: It failed, and may not be passed over.
        """
        saved = self._stream.save() if adapter.fails_open else None
        try:
            return step(adapter)
        except TrapError as trap:
            self._open.pop(adapter, None)
            failure = adapter.crashed(trap)
        except AdapterFailure as error:
            failure = error
            adapter.note_failure(error.reason)
        if saved is None or not failure.may_fail_open:
            raise failure
        self._stream.restore(saved)
        self._failed_open.append(adapter.name)
        return False

    def _headers(self, adapter: Adapter) -> bool:
        adapter.stats.requests += 1
        context = self._open[adapter] = adapter.open(self._stream)
        outcome = context.on_request_headers(end_of_stream=not self._request.has_body)
        if outcome is Outcome.CONTINUE:
            return self._request.body is not None and self._request.has_body
        if outcome is Outcome.HOLD:
            return self._hold(adapter)
        self._end(adapter, outcome)
        return False

    def _hold(self, adapter: Adapter) -> bool:
        if self._request.body is None:
            raise misled(adapter.name, "waits_for_a_body_that_the_proxy_did_not_send")
        return self._body(adapter)

    def _body(self, adapter: Adapter) -> bool:
        outcome = self._open[adapter].on_request_body(end_of_stream=self._request.body_complete)
        if outcome is not Outcome.CONTINUE:
            self._end(adapter, outcome)
        return False

    def _end(self, adapter: Adapter, outcome: Outcome) -> None:
        """End the chain on an outcome that lets nothing pass.

        A pause ends it too: without callouts nothing could resume the request, and its caller
        would wait until its own deadline.
        """
        if outcome is Outcome.RESPOND:
            raise Answer(adapter)
        reason = "closed_the_stream" if outcome is Outcome.RESET else "paused_for_ever"
        raise misled(adapter.name, reason)

    def _names(self) -> tuple[str, ...]:
        return tuple(adapter.name for adapter in self._open)

    def _allowed(self) -> Decision:
        names, stream = self._names(), self._stream
        return Decision(
            Verdict.ALLOW,
            adapters=names,
            adapter=names[-1] if names else "",
            request_headers=stream.request.headers.changes(
                source_is_complete=self._request.headers_are_complete
            ),
            response_headers=response_headers(stream.filter_state) if stream.filter_state else (),
            body=stream.request.body if stream.request.body_changed else None,
            failed_open=tuple(self._failed_open),
        )

    def _finish_answer(self, adapter: Adapter) -> Decision:
        """Let the answer pass the response callbacks of the adapters that have any, as in Envoy."""
        try:
            response = self._passed_back()
        except AdapterFailure as failure:
            return self._failed(failure)
        return self._answered(adapter, response)

    def _passed_back(self) -> Response:
        local = self._stream.local_response
        assert local is not None
        interested = [a for a, c in self._open.items() if c.vm.callbacks.sees_responses]
        if not interested:
            return Response(local.status, local.headers, local.body)
        return AnswerPath(self._stream, self._open).run(reversed(interested))

    def _answered(self, adapter: Adapter, response: Response) -> Decision:
        local = self._stream.local_response
        assert local is not None
        adapter.stats.denied += 1
        return Decision(
            Verdict.DENY,
            adapters=self._names(),
            adapter=adapter.name,
            reason=local.details,
            response=response,
            failed_open=tuple(self._failed_open),
        )

    def _failed(self, failure: AdapterFailure) -> Decision:
        return Decision(
            Verdict.ERROR,
            adapters=self._names(),
            adapter=failure.adapter,
            reason=failure.reason,
            response=Response(FAILURE_STATUS),
            failed_open=tuple(self._failed_open),
        )

    def _delete_contexts(self) -> None:
        for adapter, context in self._open.items():
            try:
                context.delete()
            except TrapError as trap:  # the decision stands; only the VM is lost
                adapter.crashed(trap)
