"""From what has become of a request in the adapters to the decision."""

from collections.abc import Sequence
from dataclasses import replace

from mixer.engine.adapter import Adapter
from mixer.engine.agreement import (
    Contexts,
    granted_by,
    said_by,
    said_themselves,
    standing_of,
    validity_of,
)
from mixer.engine.cache.trace import Trace
from mixer.engine.decision import FAILURE_STATUS, Decision, Response, Verdict
from mixer.engine.failure import AdapterFailure
from mixer.engine.request import Request
from mixer.engine.response_headers import response_headers
from mixer.engine.rules import NOTHING, Applied, Rules
from mixer.engine.validity import Validity
from mixer.proxywasm import HttpStream, MapType


class Conclusion:
    """The end of a chain.

    Args:
        request: What was decided about.
        stream: As the adapters left it.
        contexts: Of the adapters that ran, in order.
        failed_open: Names of those that failed and were passed over.
        trace: Where to note what the decision follows from, or None.
        rules: Change the headers of what the adapters allowed.
    """

    __slots__ = ("_failed_open", "_open", "_request", "_rules", "_stream", "_trace")

    def __init__(
        self,
        request: Request,
        stream: HttpStream,
        contexts: Contexts,
        failed_open: Sequence[str],
        trace: Trace | None,
        rules: Rules | None,
    ) -> None:
        self._request = request
        self._stream = stream
        self._open = contexts
        self._failed_open = failed_open
        self._trace = trace
        self._rules = rules

    def allowed(self) -> Decision:
        """All adapters let it pass: apply the rules."""
        ran, stream = tuple(self._open), self._stream
        said = response_headers(stream.filter_state) if stream.filter_state else ()
        applied = NOTHING if self._rules is None else self._apply(self._rules)
        granted = granted_by(self._open) if stream.filter_state else None
        return Decision(
            Verdict.ALLOW,
            adapters=self._names(),
            adapter=ran[-1].name if ran else "",
            rule=ran[-1].rule if ran else "",
            request_headers=stream.request.headers.changes(
                source_is_complete=self._request.headers_are_complete
            ),
            request_operations=applied.request,
            response_operations=said + applied.response,
            body=stream.request.body if stream.request.body_changed else None,
            failed_open=tuple(self._failed_open),
            validity=self._validity(),
            granted=granted,
            quota=None if granted is None else standing_of(self._open),
        )

    def answered(self, adapter: Adapter, response: Response) -> Decision:
        """An adapter answered; `response` is what the others made of that."""
        local = self._stream.local_response
        assert local is not None
        adapter.stats.denied += 1
        if local.grpc_status >= 0:
            response = replace(response, grpc_status=local.grpc_status)
        context = self._open.get(adapter)
        return Decision(
            Verdict.DENY,
            adapters=self._names(),
            adapter=adapter.name,
            rule=adapter.rule,
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
            rule=failure.rule or self._rule_of(failure.adapter),
            reason=failure.reason,
            response=Response(FAILURE_STATUS),
            failed_open=tuple(self._failed_open),
        )

    def _rule_of(self, name: str) -> str:
        return next((adapter.rule for adapter in self._open if adapter.name == name), "")

    def _names(self) -> tuple[str, ...]:
        return tuple(adapter.name for adapter in self._open)

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
