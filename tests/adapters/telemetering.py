"""The adapter telemetry under test: requests that are over, what it counts, and what it sends."""

from collections.abc import Iterable, Mapping
from typing import Any

from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from mixer.attributes import Value
from mixer.telemetry.naming import exposed_name
from mixer.testing import Host, Plugin, Stream

Config = dict[str, Any]
Told = dict[str, dict[tuple[tuple[str, str], ...], int]]
TRACES = "opentelemetry.proto.collector.trace.v1.TraceService"


def load(host: Host, **configuration: Any) -> Plugin:
    return host.load("builtin://telemetry", configuration)


def request(
    plugin: Plugin, headers: Mapping[str, str] | None = None, *, status: int = 200, **known: Value
) -> Stream:
    """Let a request pass and be over."""
    stream = plugin.stream({name.replace("__", "."): value for name, value in known.items()})
    stream.request_headers(dict(headers or {}))
    stream.response_headers(status=status)
    stream.close()
    return stream


def record(plugin: Plugin, properties: Mapping[str, Value]) -> None:
    """Tell of a request or a connection as a report does: nothing passes."""
    stream = plugin.stream(properties)
    stream.open()
    stream.close()


def told(host: Host) -> Told:
    """What was counted, by name and labels: of a histogram the sum."""
    found: Told = {}
    for one in host.metrics.snapshot():
        name = exposed_name(one.name)
        if one.value:
            found.setdefault(name.prometheus or "", {})[name.labels] = one.total or one.value
    return found


def only(host: Host, name: str) -> tuple[dict[str, str], int]:
    """The labels and the value of a metric that has one series."""
    ((labels, value),) = told(host)[name].items()
    return dict(labels), value


def count(host: Host, name: str, **labels: str) -> int:
    return told(host).get(name, {}).get(tuple(sorted(labels.items())), 0)


def target(call: Any) -> str:
    """The cluster that a call names."""
    return str(GrpcService.FromString(call.method.target).envoy_grpc.cluster_name)


def spans(messages: Iterable[bytes]) -> list[Span]:
    """The spans of requests to a collector."""
    parsed = map(ExportTraceServiceRequest.FromString, messages)
    return [
        span
        for one in parsed
        for resource in one.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def records(messages: Iterable[bytes]) -> list[LogRecord]:
    """The log records of requests to a collector."""
    parsed = map(ExportLogsServiceRequest.FromString, messages)
    return [
        record
        for one in parsed
        for resource in one.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")
