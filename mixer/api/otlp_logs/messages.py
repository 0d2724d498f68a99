"""The messages of OTLP, with batches left as bytes and texts of any bytes."""

from typing import Any

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2

from mixer.wire.twins import leave_bytes, twins

_COLLECTOR = "opentelemetry.proto.collector.logs.v1"
_LOGS = "opentelemetry.proto.logs.v1"

_classes = twins(
    logs_service_pb2.DESCRIPTOR,
    leave_bytes(
        f"{_COLLECTOR}.ExportLogsServiceRequest.resource_logs",
        f"{_LOGS}.ResourceLogs.scope_logs",
        f"{_LOGS}.ScopeLogs.log_records",
    ),
)

Request: Any = _classes[f"{_COLLECTOR}.ExportLogsServiceRequest"]
ResourceLogs: Any = _classes[f"{_LOGS}.ResourceLogs"]
ScopeLogs: Any = _classes[f"{_LOGS}.ScopeLogs"]
LogRecord: Any = _classes[f"{_LOGS}.LogRecord"]
