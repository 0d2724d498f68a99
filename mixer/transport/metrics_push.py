"""Whether and how metrics are sent by OTLP: the configuration, and OpenTelemetry's environment.

Apart from what sends them, since to import the SDK takes as long as the rest of the start.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from mixer.config import Otlp

_log = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
_DEFAULT_S, _SHORTEST_S, _LONGEST_S = 60.0, 1.0, 3600.0


@dataclass(frozen=True, slots=True)
class PushSettings:
    """How metrics are sent.

    Attributes:
        endpoint: URL; None for that of the environment.
        interval: Seconds between two times.
        timeout: Seconds for one message; None for that of the environment.
        resource_attributes: Before those of the environment.
    """

    endpoint: str | None
    interval: float
    timeout: float | None
    resource_attributes: Mapping[str, str]


def push_settings(otlp: Otlp | None, environ: Mapping[str, str]) -> PushSettings | None:
    """Read them; None where nothing is to be sent.

    Args:
        otlp: Of the configuration; goes before the environment.
        environ: Of the process.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if otlp is not None:
        return PushSettings(otlp.endpoint, otlp.interval, otlp.timeout, otlp.resource_attributes)
    if not _first(environ, _ENDPOINTS) or environ.get("OTEL_METRICS_EXPORTER", "otlp") != "otlp":
        return None
    protocol = _first(environ, _PROTOCOLS)
    if protocol not in ("", "grpc"):
        _log.warning("no metrics are sent: OTLP is spoken over grpc only, not %r", protocol)
        return None
    return PushSettings(None, _interval(environ), None, {})


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((environ[name] for name in names if environ.get(name)), "")


def _interval(environ: Mapping[str, str]) -> float:
    text = environ.get(_INTERVAL, "")
    try:
        # The bound comes first: it is what max() answers for a number that is none.
        return min(max(_SHORTEST_S, float(text) / 1000), _LONGEST_S) if text else _DEFAULT_S
    except ValueError:
        _log.warning("%s is no number of milliseconds: %g s are used", _INTERVAL, _DEFAULT_S)
        return _DEFAULT_S
