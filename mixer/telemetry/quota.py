"""What is told of the counters of quotas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer.telemetry.family import Kind, Sample
from mixer.telemetry.observed import Observed, OwnMetric, Read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mixer.state.quota import QuotaCounts


def _count(value: Callable[[QuotaCounts], int]) -> Read:
    return lambda observed: (Sample((), value(observed.engine.services.quotas.counts)),)


def _refused(observed: Observed) -> Iterator[Sample]:
    counts = observed.engine.services.quotas.counts
    yield Sample((("kind", "enforced"),), counts.refused)
    yield Sample((("kind", "shadow"),), counts.shadow_refused)


def _held(observed: Observed) -> Iterator[Sample]:
    yield Sample((), len(observed.engine.services.quotas))


_C, _G = Kind.COUNTER, Kind.GAUGE

QUOTA_METRICS = (
    OwnMetric("mixer_quota_takes_total", "mixer.quota.takes", _C, "{take}",
              "Takes of quotas that adapters asked for.", _count(lambda c: c.takes)),
    OwnMetric("mixer_quota_refused_total", "mixer.quota.refused", _C, "{take}",
              "Takes that a limit refused, and charges of shadow limits that would have been.",
              _refused),
    OwnMetric("mixer_quota_waits_total", "mixer.quota.waits", _C, "{take}",
              "Takes that were answered later, by the store.", _count(lambda c: c.waits)),
    OwnMetric("mixer_quota_local_total", "mixer.quota.local", _C, "{take}",
              "Takes that were answered without the store, since it could not be reached.",
              _count(lambda c: c.local)),
    OwnMetric("mixer_quota_store_errors_total", "mixer.quota.store_errors", _C, "{call}",
              "Calls of the store of quotas that failed.", _count(lambda c: c.store_errors)),
    OwnMetric("mixer_quota_counters", "mixer.quota.counters", _G, "{counter}",
              "Counters of quotas in this worker and in LMDB: also leases of those in Redis, and"
              " what is counted here while Redis is away.", _held),
    OwnMetric("mixer_quota_evicted_total", "mixer.quota.evicted", _C, "{counter}",
              "Counters of quotas that were given up for others while something was taken of them.",
              _count(lambda c: c.evicted)),
)  # fmt: skip
"""Those of the counters of quotas, in the order in which they are told."""
