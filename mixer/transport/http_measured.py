"""HTTP requests, counted and given spans: around the routes of a listener."""

from functools import partial
from time import perf_counter_ns

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mixer.telemetry import HttpKind
from mixer.telemetry.calls import HTTP_METHODS, OTHER
from mixer.telemetry.span import Attribute, CallSpan
from mixer.telemetry.trace_context import Find, finder
from mixer.telemetry.tracing import Tracer, enter_call
from mixer.transport.watch import Watch

ROUTE = "mixer.route"
"""Where an endpoint notes its path in the scope of a request."""


class _Answer:
    """Sends an answer, and notes its status.

    Attributes:
        status: 0 until it begins.
    """

    __slots__ = ("_send", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        """See ASGI."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


def measured(inner: ASGIApp, watch: Watch) -> ASGIApp:
    """The same application, counted.

    Args:
        inner: Answers, and notes `ROUTE`.
        watch: Counts.
    """
    calls, tracer = watch.calls, watch.tracer

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter_ns()
        method = scope["method"] if scope["method"] in HTTP_METHODS else OTHER
        answer = _Answer(send)
        calls.http_began(method, scope["scheme"])
        enter_call(partial(_headers_of, scope))
        span = None if tracer is None else _begin(tracer, method, scope)
        try:
            await inner(scope, receive, answer.send)
        finally:
            kind = HttpKind(method, scope["scheme"], scope.get(ROUTE, ""), answer.status)
            calls.http_ended(kind, perf_counter_ns() - began)
            if tracer is not None and span is not None:
                _end(tracer, span, kind, scope)

    return serve


def _headers_of(scope: Scope) -> Find:
    headers = scope["headers"]
    return finder((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


def _begin(tracer: Tracer, method: str, scope: Scope) -> CallSpan | None:
    span = tracer.begin(method, _headers_of(scope))
    if span is not None:
        tracer.enter(span)
    return span


def _end(tracer: Tracer, span: CallSpan, kind: HttpKind, scope: Scope) -> None:
    span.name = f"{span.name} {kind.route}".rstrip()
    client = scope["client"]
    attributes: dict[str, Attribute] = dict(kind.labels())
    if client:
        attributes["network.peer.address"] = client[0]
    tracer.end(span, attributes, error=kind.failed)
