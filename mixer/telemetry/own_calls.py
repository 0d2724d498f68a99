"""Metrics of the calls of front ends, and of the callbacks of adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer.telemetry import calls
from mixer.telemetry.bins import CALLBACK_BOUNDS, bins_of
from mixer.telemetry.family import Kind, Sample
from mixer.telemetry.observed import Observed, OwnMetric, Read, SpanCounts
from mixer.vm import TrapKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mixer.telemetry.calls import Calls

_VERDICTS = {
    "allow": "allowed",
    "deny": "denied",
    "error": "failed",
    "passed_over": "passed_over",
}

_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM


def _calls(read: Callable[[Calls], Iterable[Sample]]) -> Read:
    return lambda observed: () if observed.calls is None else read(observed.calls)


def _callbacks(observed: Observed) -> Iterator[Sample]:
    for adapter in observed.engine.adapters:
        for name, durations in adapter.settings.durations.items():
            labels = (("adapter", adapter.name), ("callback", name))
            yield Sample(labels, bins_of(durations, CALLBACK_BOUNDS))


def _traps(observed: Observed) -> Iterator[Sample]:
    for adapter in observed.engine.adapters:
        for kind in TrapKind:
            labels = (("adapter", adapter.name), ("kind", kind.value))
            yield Sample(labels, adapter.stats.traps.get(kind, 0))


def _verdicts(observed: Observed) -> Iterator[Sample]:
    engine = observed.engine
    counts = (engine.verdicts, engine.allocation_verdicts, engine.connection_verdicts)
    for adapter in engine.adapters:
        for verdict, attribute in _VERDICTS.items():
            labels = (("adapter", adapter.name), ("verdict", verdict))
            yield Sample(labels, sum(getattr(one, attribute)[adapter.name] for one in counts))


def _spans(observed: Observed) -> Iterator[Sample]:
    spans = observed.spans
    for result in SpanCounts.__slots__ if spans else ():
        yield Sample((("result", result),), getattr(spans, result))


CALLBACK_METRICS = (
    OwnMetric("mixer_adapter_traps_total", "mixer.adapter.traps", _C, "{trap}",
              "Traps of an adapter, by kind.", _traps),
    OwnMetric("mixer_adapter_verdicts_total", "mixer.adapter.verdicts", _C, "{request}",
              "What adapters said of requests, quotas and connections that are decided.",
              _verdicts),
    OwnMetric("mixer_adapter_callback_duration_seconds", "mixer.adapter.callback.duration", _H,
              "s", "Time in callbacks of an adapter, host calls included; the sum is its processor"
              " time.", _callbacks),
)  # fmt: skip
"""Of adapters."""

CALL_METRICS = (
    OwnMetric("rpc_server_call_duration_seconds", "rpc.server.call.duration", _H, "s",
              "How long gRPC calls took; streams are one call each.",
              _calls(calls.rpc_durations)),
    OwnMetric("mixer_rpc_in_progress", "mixer.rpc.in_progress", _G, "{call}",
              "gRPC calls that have not ended, streams included.",
              _calls(calls.rpc_in_progress)),
    OwnMetric("http_server_request_duration_seconds", "http.server.request.duration", _H, "s",
              "How long HTTP requests took.", _calls(calls.http_durations)),
    OwnMetric("http_server_active_requests", "http.server.active_requests", _G, "{request}",
              "HTTP requests that have no answer yet.", _calls(calls.http_in_progress)),
    OwnMetric("mixer_spans_total", "mixer.spans", _C, "{span}",
              "Spans that were made, by what became of them.", _spans),
)  # fmt: skip
"""Of front ends."""
