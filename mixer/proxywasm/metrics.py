"""Metrics that modules define: one value for each type and name, whoever defines it.

As in Envoy a VM gets a new id for each definition, with the type in the lowest bits, and all ids of
one type and name count into the same value.
"""

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import islice
from math import floor, log10

MAX_METRICS = 65_536
"""In one store."""

MAX_METRICS_PER_MODULE = 16_384
"""That one module brings to a store: all its VMs, also those that were replaced."""

MAX_METRICS_PER_VM = 16_384
"""Ids that one VM may be given."""

MAX_NAME_BYTES = 4096

BUCKETS = (
    0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000,
    600_000, 1_800_000, 3_600_000,
)  # fmt: skip
"""Upper bounds of a histogram's buckets, those of Envoy; one more takes what is above."""

_EDGES = tuple(bound + 10.0 ** (floor(log10(bound)) - 1) for bound in BUCKETS)
"""Where each bucket ends: Envoy keeps two digits of a value, so that 109 is not above 100."""

_TYPE_BITS = 2
_TYPE_MASK = 3
_U64 = (1 << 64) - 1
_SIGN = 1 << 63


class MetricType(IntEnum):
    """``proxy_metric_type_t``."""

    COUNTER = 0
    GAUGE = 1
    HISTOGRAM = 2


_COUNTER, _HISTOGRAM = MetricType.COUNTER, MetricType.HISTOGRAM


def type_of(metric_id: int) -> MetricType | None:
    """The type that an id tells, or None."""
    number = metric_id & _TYPE_MASK
    return None if number > MetricType.HISTOGRAM else MetricType(number)


@dataclass(slots=True)
class Metric:
    """One value.

    Attributes:
        type: What it is.
        name: As the module gave it, without dots at its end.
        value: Of a counter or gauge, from 0 to 2**64 - 1, around which it wraps; the number of
            records of a histogram.
        total: Sum of what a histogram recorded, taken as signed numbers of 64 bits.
        buckets: How many records fell into each of a histogram's `BUCKETS`, and above.
    """

    type: MetricType
    name: str
    value: int = 0
    total: int = 0
    buckets: list[int] = field(default_factory=list)

    def add(self, delta: int) -> None:
        """Change a counter or gauge."""
        self.value = self.value + delta & _U64

    def record(self, value: int) -> None:
        """Add to a counter, set a gauge, or put into a histogram."""
        kind = self.type
        if kind is _HISTOGRAM:
            signed = value - 2 * _SIGN if value & _SIGN else value
            self.value += 1
            self.total += signed
            self.buckets[bisect_right(_EDGES, signed)] += 1
        elif kind is _COUNTER:
            self.value = self.value + value & _U64
        else:
            self.value = value


@dataclass(frozen=True, slots=True)
class MetricSnapshot:
    """What a metric is at one moment; see `Metric`."""

    name: str
    type: MetricType
    value: int
    total: int
    buckets: tuple[int, ...]


class MetricStore:
    """Every metric of the VMs that share it.

    Attributes:
        refused: Definitions that a bound refused.
    """

    def __init__(self) -> None:
        self._metrics: dict[tuple[MetricType, str], Metric] = {}
        self._brought: Counter[str] = Counter()
        self.refused = 0

    def define(self, kind: MetricType, name: str, module: str = "") -> Metric | None:
        """The metric of a type and name, made if it is new; None where there are too many.

        Dots at the end of a name are none of it, as in Envoy.

        Args:
            kind: Its type.
            name: Its name.
            module: Whose it is if it is new.
        """
        name = name.rstrip(".")
        known = self._metrics.get((kind, name))
        if known is not None:
            return known
        full = len(self._metrics) >= MAX_METRICS
        if full or self._brought[module] >= MAX_METRICS_PER_MODULE:
            self.refused += 1
            return None
        self._brought[module] += 1
        metric = self._metrics[kind, name] = Metric(kind, name)
        if kind is MetricType.HISTOGRAM:
            metric.buckets = [0] * (len(BUCKETS) + 1)
        return metric

    def since(self, number: int, most: int) -> list[Metric]:
        """So many of the metrics themselves, but for the first ones, in order of definition.

        None ever goes away: who has seen some needs to look only at those after them.
        """
        return list(islice(self._metrics.values(), number, number + most))

    def snapshot(self) -> list[MetricSnapshot]:
        """Every metric, in the order of their definition."""
        return [
            MetricSnapshot(m.name, m.type, m.value, m.total, tuple(m.buckets))
            for m in self._metrics.values()
        ]


class VmMetrics:
    """The ids of one VM.

    Args:
        store: Where the values are.
        module: What runs in the VM, such as the digest of its code.

    Attributes:
        find: The metric of an id, or None.
    """

    def __init__(self, store: MetricStore, module: str) -> None:
        self._store = store
        self._module = module
        self._ids: dict[int, Metric] = {}
        self.find = self._ids.get
        self._given = [0] * len(MetricType)

    def define(self, kind: MetricType, name: str) -> int | None:
        """A new id; None where a bound refuses it."""
        if len(self._ids) >= MAX_METRICS_PER_VM:
            self._store.refused += 1
            return None
        metric = self._store.define(kind, name, self._module)
        if metric is None:
            return None
        self._given[kind] += 1
        metric_id = self._given[kind] << _TYPE_BITS | kind
        self._ids[metric_id] = metric
        return metric_id
