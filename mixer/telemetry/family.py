"""Metrics as values: what every format and exporter is made from."""

from dataclasses import dataclass
from enum import StrEnum

from mixer.proxywasm import BUCKETS

Labels = tuple[tuple[str, str | int], ...]
"""Names, as OpenTelemetry has them, and values; these are numbers, or any text."""


class Kind(StrEnum):
    """What a metric is, by Prometheus' name."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Bins:
    """What a histogram counted.

    Attributes:
        counts: Records in each bucket, and above the last; each once.
        total: Sum of what was recorded.
        bounds: The upper bound of each bucket.
    """

    counts: tuple[int, ...]
    total: float
    bounds: tuple[float, ...] = BUCKETS


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric.

    Attributes:
        labels: Distinguish it from the others of its family.
        value: A number, or the bins of a histogram.
    """

    labels: Labels
    value: int | Bins


@dataclass(frozen=True, slots=True)
class Family:
    """Every value of one name, or some of them.

    Attributes:
        name: As Prometheus gets it.
        kind: What it is.
        samples: With the same label names, but for those of errors, and in metrics of modules.
        otel_name: As OpenTelemetry gets it.
        help: What it means; empty for metrics of modules.
        unit: In UCUM's notation, as OpenTelemetry wants it; empty where none is known.
        continued: Whether it goes on with the samples of the family before it.
    """

    name: str
    kind: Kind
    samples: tuple[Sample, ...]
    otel_name: str
    help: str = ""
    unit: str = ""
    continued: bool = False
