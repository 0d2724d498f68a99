"""Spans as OpenTelemetry's data: made ready, and not by its tracer, which costs many times more."""

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from mixer.telemetry.otel import SCOPE
from mixer.telemetry.span import Attribute, Span

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_STATUS = {True: Status(StatusCode.ERROR), False: Status(StatusCode.UNSET)}


def readable(span: Span, about: Resource, scope: InstrumentationScope = SCOPE) -> ReadableSpan:
    """Convert a span.

    Args:
        span: To convert.
        about: Who made it.
        scope: The library that did.
    """
    state = TraceState.from_header([span.state]) if span.state else TraceState()
    parent = None
    if span.parent_id:
        parent = SpanContext(span.trace_id, span.parent_id, span.remote, _SAMPLED, state)
    return ReadableSpan(
        name=_text(span.name),
        context=SpanContext(span.trace_id, span.span_id, False, _SAMPLED, state),
        parent=parent,
        resource=about,
        attributes={name: _sound(value) for name, value in span.attributes.items()},
        kind=SpanKind.SERVER if span.is_server else SpanKind.INTERNAL,
        status=_STATUS[span.error],
        start_time=span.began,
        end_time=span.ended,
        instrumentation_scope=scope,
    )


def _sound(value: Attribute) -> Attribute:
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> str:
    """What can be written as UTF-8: one that cannot would keep its whole batch from being sent."""
    return value.encode(errors="backslashreplace").decode()
