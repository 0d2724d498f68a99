"""``stdio``: writes log entries and metrics as lines of text or of JSON."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from mixer.convert.fields import Fields
from mixer.convert.handlers.reporting import FIELDS, finish, read_values, telemetry
from mixer.convert.output import Output
from mixer.convert.resources import Part
from mixer.convert.workshop import Use, Workshop, translated, with_match

_STREAMS = ("STDOUT", "STDERR", "FILE", "ROTATED_FILE")
_MOST_LOGS = 32
_LEVELS = ("INFO", "WARNING", "ERROR")
_SEVERITIES = {
    **dict.fromkeys(("INFORMATIONAL", "informational", "INFO", "info"), "INFO"),
    **dict.fromkeys(("WARNING", "warning", "WARN", "warn"), "WARNING"),
    **dict.fromkeys(("ERROR", "error", "ERR", "err", "FATAL", "fatal"), "ERROR"),
}
_OF_FILES = ("outputPath", "maxMegabytesBeforeRotation", "maxDaysBeforeRotation", "maxRotatedFiles")


@dataclass(frozen=True, slots=True)
class _Settings:
    levels: dict[str, str]
    metric_level: str
    lowest: str
    format: str


def convert(handler: Part, uses: list[Use], workshop: Workshop) -> list[Output]:
    """Its adapter. Raises LostError."""
    params = handler.params()
    settings = _settings(params)
    _read_stream(params, handler, workshop)
    params.finish(workshop.findings)
    logs = [entry for use in uses if (entry := _log(use, settings, workshop)) is not None]
    return telemetry(handler, "logs", logs, _MOST_LOGS, workshop)


def _settings(params: Fields) -> _Settings:
    return _Settings(
        levels={**_SEVERITIES, **params.choices("severityLevels", _LEVELS)},
        metric_level=params.choice("metricLevel", _LEVELS),
        lowest=params.choice("outputLevel", _LEVELS),
        format="JSON" if params.flag("outputAsJson", True) else "TEXT",
    )


def _read_stream(params: Fields, handler: Part, workshop: Workshop) -> None:
    for name in _OF_FILES:
        params.take(name)
    stream = params.choice("logStream", _STREAMS)
    if stream != "STDERR":
        where = params.where("logStream" if params.has("logStream") else "outputAsJson")
        message = f"entries are written to the log of the service, on stderr, not to {stream}"
        workshop.differs(handler, where, message)


def _log(use: Use, settings: _Settings, workshop: Workshop) -> dict[str, Any] | None:
    document = use.instance.resource.document
    read = _read_metric if use.instance.type == "metric" else _read_entry
    found = workshop.attempt(document, partial(read, use.instance, settings, workshop))
    if found is None or _LEVELS.index(found["severity"]) < _LEVELS.index(settings.lowest):
        return None
    name = use.instance.resource.full_name
    return with_match(use, {"name": name, **found, "format": settings.format})


def _read_entry(instance: Part, settings: _Settings, workshop: Workshop) -> dict[str, Any]:
    params = instance.params()
    severity = params.text("severity", '""')
    known = translated(params.where("severity"), severity, workshop.translator.constant)
    if params.has("timestamp"):
        params.text("timestamp")
        workshop.differs(instance, params.where("timestamp"), "the time is that of the report")
    fields = read_values(params.inner("variables"), FIELDS, workshop)
    finish(params, workshop.findings)
    return {"severity": settings.levels.get(known, "INFO"), "fields": fields}


def _read_metric(instance: Part, settings: _Settings, workshop: Workshop) -> dict[str, Any]:
    params = instance.params()
    where = params.where("value")
    value, _ = translated(where, params.text("value"), workshop.translator.value)
    fields = {**read_values(params.inner("dimensions"), FIELDS, workshop), "value": value}
    finish(params, workshop.findings)
    return {"severity": settings.metric_level, "fields": fields}
