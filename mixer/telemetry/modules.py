"""The metrics of modules, named and put into families.

A metric is never taken back, so that each is named once, and a scrape costs only what it reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING

from mixer.proxywasm import Metric, MetricType
from mixer.telemetry.family import Bins, Family, Kind, Labels, Sample
from mixer.telemetry.naming import ExposedName, exposed_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mixer.proxywasm import MetricStore

_KINDS = {
    MetricType.COUNTER: Kind.COUNTER,
    MetricType.GAUGE: Kind.GAUGE,
    MetricType.HISTOGRAM: Kind.HISTOGRAM,
}
_PART = {Kind.COUNTER: 250, Kind.GAUGE: 250, Kind.HISTOGRAM: 12}
"""Samples that are read at once: a histogram is twenty lines."""

HISTOGRAM_SUFFIXES = ("", "_bucket", "_sum", "_count", "_created")
"""Of the samples of one, and of what OpenMetrics reserves beside them."""


class Hidden(StrEnum):
    """Why a metric is not told."""

    NAME_TAKEN = "name_taken"
    """Another metric has the name in Prometheus' notation. Envoy tells both, as nobody can read."""
    STARTS_WITH_DIGIT = "starts_with_digit"
    """Prometheus has no such names; Envoy leaves them out too."""


@dataclass(slots=True)
class _Members:
    """The metrics of one family."""

    name: str
    otel_name: str
    kind: Kind
    metrics: list[tuple[Labels, Metric]] = field(default_factory=list)
    labels: set[Labels] = field(default_factory=set)

    def takes(self, exposed: ExposedName, kind: Kind) -> bool:
        same = self.otel_name == exposed.otel and self.kind is kind
        return same and exposed.labels not in self.labels

    def parts(self) -> Iterator[Family]:
        size = _PART[self.kind]
        for first in count(0, size):
            some = self.metrics[first : first + size]
            if not some:
                return
            samples = tuple(Sample(labels, _value(one)) for labels, one in some)
            yield Family(self.name, self.kind, samples, self.otel_name, continued=first > 0)


class ModuleMetrics:
    """Families over a store.

    Args:
        store: Where modules count.
        reserved: Names that are not theirs.

    Attributes:
        hidden: How many metrics are not told, by reason.
        taken: Every name of a sample.
    """

    def __init__(self, store: MetricStore, reserved: Iterable[str]) -> None:
        self._store = store
        self._seen = 0
        self._families: list[_Members] = []
        self._by_name: dict[str, _Members] = {}
        self.taken = set(reserved)
        self.hidden = dict.fromkeys(Hidden, 0)

    def __len__(self) -> int:
        """How many families there are."""
        return len(self._families)

    def take_over(self, most: int) -> bool:
        """Name so many metrics that are new in the store; whether there may be more."""
        new = self._store.since(self._seen, most)
        for metric in new:
            self._add(metric)
        self._seen += len(new)
        return len(new) == most

    def parts(self, number: int) -> Iterator[Family]:
        """One family by its number from 0, each part as it is when it is asked for."""
        return self._families[number].parts()

    def _add(self, metric: Metric) -> None:
        exposed, kind = exposed_name(metric.name), _KINDS[metric.type]
        if exposed.prometheus is None:
            self.hidden[Hidden.STARTS_WITH_DIGIT] += 1
            return
        family = self._by_name.get(exposed.prometheus)
        if family is None:
            family = self._new_family(exposed.prometheus, exposed.otel, kind)
        if family is None or not family.takes(exposed, kind):
            self.hidden[Hidden.NAME_TAKEN] += 1
            return
        family.labels.add(exposed.labels)
        family.metrics.append((exposed.labels, metric))

    def _new_family(self, name: str, otel_name: str, kind: Kind) -> _Members | None:
        names = {name}
        if kind is Kind.HISTOGRAM:
            names = {name + suffix for suffix in HISTOGRAM_SUFFIXES}
        if not self.taken.isdisjoint(names):
            return None
        self.taken |= names
        family = self._by_name[name] = _Members(name, otel_name, kind)
        self._families.append(family)
        return family


def _value(metric: Metric) -> int | Bins:
    if metric.type is MetricType.HISTOGRAM:
        return Bins(tuple(metric.buckets), metric.total)
    return metric.value
