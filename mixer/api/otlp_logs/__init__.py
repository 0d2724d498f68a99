"""OpenTelemetry's logs: opentelemetry.proto.collector.logs.v1.LogsService/Export."""

from mixer.api.otlp_logs.export import Export, MalformedExportError
from mixer.api.otlp_logs.response import ACCEPTED, encode_rejected, encode_retry

SERVICE = "opentelemetry.proto.collector.logs.v1.LogsService"
METHOD = "Export"

__all__ = [
    "ACCEPTED",
    "METHOD",
    "SERVICE",
    "Export",
    "MalformedExportError",
    "encode_rejected",
    "encode_retry",
]
