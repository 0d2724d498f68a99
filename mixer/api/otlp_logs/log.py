"""``mixer.log``: what is told of a record as one of a log."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from opentelemetry.proto.logs.v1 import logs_pb2

from mixer.api.lazy_map import LazyMap
from mixer.api.otlp_logs.source import LogSource
from mixer.api.otlp_logs.values import plain
from mixer.attributes import Timestamp
from mixer.wire.twins import text_of

_LOG_NAME = "log_name"
"""Of the resource: what Envoy's logger adds."""

_SEVERITIES = {
    number: name.removeprefix("SEVERITY_NUMBER_")
    for name, number in logs_pb2.SeverityNumber.items()
    if number
}


def _name(source: LogSource) -> str | None:
    name = source.batch.resource.get(_LOG_NAME) or text_of(source.batch.scope.name)
    return name if isinstance(name, str) and name else None


def _severity(source: LogSource) -> str | None:
    record = source.record
    return text_of(record.severity_text) or _SEVERITIES.get(record.severity_number)


def _attributes(source: LogSource) -> Mapping[str, Any]:
    return {key: plain(value) for key, value in source.told.items()}


_READS = MappingProxyType(
    {
        "name": _name,
        "body": lambda source: plain(source.record.body),
        "severity": _severity,
        "severity_number": lambda source: int(source.record.severity_number) or None,
        "event_name": lambda source: text_of(source.record.event_name) or None,
        "observed_time": lambda source: Timestamp(source.record.observed_time_unix_nano) or None,
        "trace_id": lambda source: source.record.trace_id.hex() or None,
        "span_id": lambda source: source.record.span_id.hex() or None,
        "attributes": _attributes,
        "resource": lambda source: source.batch.resource,
        "scope": lambda source: text_of(source.batch.scope.name) or None,
    }
)


def log_of(source: LogSource) -> LazyMap:
    """Its fields by name."""
    return LazyMap(_READS, source)
