"""Decisions as log records, by OTLP over gRPC."""

import logging
from collections.abc import Sequence
from importlib.metadata import version

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from mixer.config import OtlpReceiver
from mixer.telemetry.decision_log import Entry, Write
from mixer.telemetry.otel import resource

EVENT = "mixer.decision"
"""The name of the event."""

_EXPORTERS = "opentelemetry.exporter"
_SEVERITIES = {
    "allow": SeverityNumber.INFO,
    "deny": SeverityNumber.INFO,
    "error": SeverityNumber.ERROR,
}
_TEXTS = {SeverityNumber.INFO: "INFO", SeverityNumber.ERROR: "ERROR"}


def to_receiver(receiver: OtlpReceiver) -> Write:
    """Write entries as log records: the text is the body, all else is attributes."""
    logging.getLogger(_EXPORTERS).setLevel(logging.CRITICAL)  # the writer says it once
    exporter = OTLPLogExporter(endpoint=receiver.endpoint, timeout=receiver.timeout)
    about = resource(receiver.resource_attributes)
    scope = InstrumentationScope("mixer", version("wasm-mixer"))

    def write(entries: Sequence[Entry]) -> None:
        records = [ReadableLogRecord(record_of(one), about, scope) for one in entries]
        if exporter.export(records) is not LogRecordExportResult.SUCCESS:
            raise OSError("it could not be reached, or refused them")

    return write


def record_of(entry: Entry) -> LogRecord:
    """A log record, of the trace that the request was in."""
    severity = _SEVERITIES[entry["verdict"]]
    trace_id = entry.get("trace_id")
    known = ("time_unix_nano", "trace_id", "subject")
    told = {key: value for key, value in entry.items() if key not in known}
    record = LogRecord(
        timestamp=entry["time_unix_nano"],
        trace_id=None if trace_id is None else int(trace_id, 16),
        severity_number=severity,
        severity_text=_TEXTS[severity],
        body=f"{entry['subject']}: {entry.get('outcome') or entry['verdict']}",
        attributes={f"mixer.{key}": value for key, value in told.items()},
    )
    record.event_name = EVENT
    return record
