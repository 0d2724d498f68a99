"""Metrics as OpenTelemetry's data.

Made directly, not through instruments: OpenTelemetry has no observable histogram, modules define
metrics at any time, and instruments are read in the SDK's own thread while the engine counts.
"""

import uuid
from collections.abc import Iterable, Mapping
from importlib.metadata import version

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from mixer.telemetry.family import Bins, Family, Kind, Sample

_CUMULATIVE = AggregationTemporality.CUMULATIVE
_SIGN = 1 << 63
_NAME = "service.name"
_INSTANCE = str(uuid.uuid4())

SCOPE = InstrumentationScope("mixer", version("wasm-mixer"))
"""Who says what is sent."""


def resource(attributes: Mapping[str, str]) -> Resource:
    """What is described: the environment's attributes, and these before them."""
    found = Resource.create(
        {
            "service.version": version("wasm-mixer"),
            "service.instance.id": _INSTANCE,
            **attributes,
        }
    )
    if str(found.attributes[_NAME]).startswith("unknown_service"):
        found = found.merge(Resource({_NAME: "mixer"}))
    return found


def data(about: Resource, metrics: list[Metric]) -> MetricsData:
    """One message of metrics."""
    return MetricsData([ResourceMetrics(about, [ScopeMetrics(SCOPE, metrics, "")], "")])


def metrics_of(families: Iterable[Family], started: int, now: int) -> list[Metric]:
    """Convert families.

    Args:
        families: To convert.
        started: Since when they were counted, in nanoseconds of the Unix epoch.
        now: When they were read, likewise.
    """
    return [_metric(family, started, now) for family in families]


def _metric(family: Family, started: int, now: int) -> Metric:
    content: Sum | Gauge | Histogram
    if family.kind is Kind.HISTOGRAM:
        bins = [_histogram_point(one, started, now) for one in family.samples]
        content = Histogram(bins, _CUMULATIVE)
    elif family.kind is Kind.COUNTER:
        counts = [_point(one, _unsigned(one), started, now) for one in family.samples]
        content = Sum(counts, _CUMULATIVE, is_monotonic=True)
    else:
        content = Gauge([_point(one, _signed(one), started, now) for one in family.samples])
    return Metric(family.otel_name, family.help, family.unit, content)


def _number(sample: Sample) -> int:
    assert not isinstance(sample.value, Bins)
    return sample.value


def _unsigned(sample: Sample) -> int | float:
    """OTLP has signed integers only; what is beyond them is a double."""
    number = _number(sample)
    return float(number) if number & _SIGN else number


def _signed(sample: Sample) -> int:
    """A module's gauge that went below 0 has wrapped around 2**64."""
    number = _number(sample)
    return number - 2 * _SIGN if number & _SIGN else number


def _point(sample: Sample, value: float, started: int, now: int) -> NumberDataPoint:
    return NumberDataPoint(dict(sample.labels), started, now, value)


def _histogram_point(sample: Sample, started: int, now: int) -> HistogramDataPoint:
    bins = sample.value
    assert isinstance(bins, Bins)
    return HistogramDataPoint(
        attributes=dict(sample.labels),
        start_time_unix_nano=started,
        time_unix_nano=now,
        count=sum(bins.counts),
        sum=bins.total,
        bucket_counts=bins.counts,
        explicit_bounds=bins.bounds,
        min=None,  # type: ignore[arg-type]  # optional in OTLP, and not kept
        max=None,  # type: ignore[arg-type]
    )
