"""Whether and how spans are sent: apart from what sends them, as the SDK takes long to import."""

from collections.abc import Mapping
from dataclasses import dataclass

from mixer.config import Telemetry


@dataclass(frozen=True, slots=True)
class SpanSettings:
    """How spans are sent.

    Attributes:
        endpoint: URL.
        interval: Seconds after which a batch is sent that is not full.
        timeout: Seconds for one message, with its retries.
        resource_attributes: Before those of the environment.
    """

    endpoint: str
    interval: float
    timeout: float
    resource_attributes: Mapping[str, str]


def span_settings(telemetry: Telemetry, environ: Mapping[str, str]) -> SpanSettings | None:
    """Read them; None where nothing is to be sent.

    Args:
        telemetry: Of the configuration.
        environ: Of the process, which can only end it all.
    """
    traces = telemetry.traces
    if traces is None or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    attributes = {} if telemetry.otlp is None else telemetry.otlp.resource_attributes
    endpoint = traces.endpoint or (telemetry.otlp and telemetry.otlp.endpoint)
    assert endpoint  # checked where the configuration is read
    return SpanSettings(endpoint, traces.interval, traces.timeout, attributes)
