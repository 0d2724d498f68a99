"""The service's own metrics: one table, read from what is counted anyway."""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING

from mixer.engine import AdapterState, Verdict
from mixer.state import StoreUnavailableError
from mixer.telemetry import access as listeners
from mixer.telemetry import decisions as decision_log
from mixer.telemetry import load
from mixer.telemetry.family import Kind, Sample
from mixer.telemetry.ledger import LEDGER_METRICS
from mixer.telemetry.observed import Observed, OwnMetric, Read
from mixer.telemetry.own_calls import CALL_METRICS, CALLBACK_METRICS
from mixer.telemetry.quota import QUOTA_METRICS
from mixer.vm import wasmtime_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mixer.engine import Adapter
    from mixer.shedding import Shedder
    from mixer.state import DataUsage, QueueUsage
    from mixer.telemetry.access import Access


def _one(value: Callable[[Observed], int]) -> Read:
    return lambda observed: (Sample((), value(observed)),)


def _adapters(value: Callable[[Adapter], int]) -> Read:
    return lambda observed: (
        Sample((("adapter", one.name),), value(one)) for one in observed.engine.adapters
    )


def _data(value: Callable[[DataUsage], int]) -> Read:
    def read(observed: Observed) -> Iterator[Sample]:
        with suppress(StoreUnavailableError):  # the other metrics are told when the store is down
            for vm_id, usage in observed.engine.services.shared_data.usage().items():
                yield Sample((("vm_id", vm_id),), value(usage))

    return read


def _queues(value: Callable[[QueueUsage], int]) -> Read:
    def read(observed: Observed) -> Iterator[Sample]:
        found = {}  # two names that are no text may look alike, and no series may come twice
        with suppress(StoreUnavailableError):
            for one in observed.engine.services.shared_queues.usage().values():
                name = one.name.decode(errors="backslashreplace")
                found[one.vm_id, name] = value(one)
        for (vm_id, name), number in found.items():
            yield Sample((("vm_id", vm_id), ("queue", name)), number)

    return read


def _verdicts(observed: Observed) -> Iterator[Sample]:
    counts = observed.engine.verdicts
    for verdict in Verdict:
        yield Sample((("verdict", verdict.value),), counts.of(verdict))


def _connections(observed: Observed) -> Iterator[Sample]:
    counts = observed.engine.connection_verdicts
    for verdict in Verdict:
        yield Sample((("verdict", verdict.value),), counts.of(verdict))


def _allocations(observed: Observed) -> Iterator[Sample]:
    counts = observed.engine.allocation_verdicts
    for verdict in Verdict:
        yield Sample((("verdict", verdict.value),), counts.of(verdict))


def _lookups(observed: Observed) -> Iterator[Sample]:
    stats = observed.engine.cache.stats
    yield Sample((("result", "hit"),), stats.hits)
    yield Sample((("result", "miss"),), stats.misses)


def _removed(observed: Observed) -> Iterator[Sample]:
    stats = observed.engine.cache.stats
    yield Sample((("reason", "expired"),), stats.expired)
    yield Sample((("reason", "evicted"),), stats.evicted)


def _states(observed: Observed) -> Iterator[Sample]:
    for adapter in observed.engine.adapters:
        for state in AdapterState:
            labels = (("adapter", adapter.name), ("state", state.value))
            yield Sample(labels, int(adapter.state is state))


def _hidden(observed: Observed) -> Iterator[Sample]:
    for reason, count in observed.modules.hidden.items():
        yield Sample((("reason", reason.value),), count)


def _load(read: Callable[[Shedder], Iterable[Sample]]) -> Read:
    return lambda observed: () if observed.shedder is None else read(observed.shedder)


def _access(read: Callable[[Access], Iterable[Sample]]) -> Read:
    return lambda observed: () if observed.access is None else read(observed.access)


def _build(_observed: Observed) -> Iterator[Sample]:
    versions = (("version", version("wasm-mixer")), ("wasmtime", wasmtime_version()))
    yield Sample(versions, 1)


_C, _G = Kind.COUNTER, Kind.GAUGE

OWN = (
    OwnMetric("mixer_build_info", "mixer.build.info", _G, "1",
              "Always 1; the labels tell the versions.", _build),
    OwnMetric("mixer_decisions_total", "mixer.decisions", _C, "{decision}",
              "Decisions, by verdict.", _verdicts),
    OwnMetric("mixer_decisions_pending", "mixer.decisions.pending", _G, "{decision}",
              "Decisions that are begun and not made: an adapter waits for a callout.",
              _one(lambda o: o.engine.decisions - o.engine.verdicts.total)),
    OwnMetric("mixer_connections_total", "mixer.connections", _C, "{connection}",
              "TCP connections that were carried and have ended, by verdict.", _connections),
    OwnMetric("mixer_connections_open", "mixer.connections.open", _G, "{connection}",
              "TCP connections that are being carried.",
              _one(lambda o: o.engine.connections - o.engine.connection_verdicts.total)),
    OwnMetric("mixer_allocations_total", "mixer.allocations", _C, "{allocation}",
              "Quotas that were asked for, by verdict.", _allocations),
    OwnMetric("mixer_reports_total", "mixer.reports", _C, "{record}",
              "Records of requests that adapters were told of.", _one(lambda o: o.engine.reports)),
    OwnMetric("mixer_cache_lookups_total", "mixer.cache.lookups", _C, "{lookup}",
              "Look-ups in the decision cache, by result.", _lookups),
    OwnMetric("mixer_cache_uncacheable_total", "mixer.cache.uncacheable", _C, "{decision}",
              "Decisions with a validity that could not be kept: they follow from more than the"
              " request.", _one(lambda o: o.engine.cache.stats.uncacheable)),
    OwnMetric("mixer_cache_removed_total", "mixer.cache.removed", _C, "{decision}",
              "Decisions that went out of the cache, by reason.", _removed),
    OwnMetric("mixer_cache_entries", "mixer.cache.entries", _G, "{decision}",
              "Decisions in the cache.", _one(lambda o: len(o.engine.cache))),
    OwnMetric("mixer_cache_bytes", "mixer.cache.size", _G, "By",
              "Bytes that the decisions in the cache take, roughly.",
              _one(lambda o: o.engine.cache.bytes)),
    OwnMetric("mixer_attributes_rejected_total", "mixer.attributes.rejected", _C, "{attribute}",
              "Attributes of callers of Mixer that were not used: of a wrong type, or unreadable.",
              _one(lambda o: o.engine.admission.rejected)),
    OwnMetric("mixer_adapter_requests_total", "mixer.adapter.requests", _C, "{request}",
              "Requests that an adapter was asked about.", _adapters(lambda a: a.stats.requests)),
    OwnMetric("mixer_adapter_reports_total", "mixer.adapter.reports", _C, "{record}",
              "Records that an adapter was told of.", _adapters(lambda a: a.stats.reports)),
    OwnMetric("mixer_adapter_denied_total", "mixer.adapter.denied", _C, "{request}",
              "Requests that an adapter answered itself.", _adapters(lambda a: a.stats.denied)),
    OwnMetric("mixer_adapter_failures_total", "mixer.adapter.failures", _C, "{failure}",
              "Traps of an adapter, and requests that it left without an outcome.",
              _adapters(lambda a: a.stats.failures)),
    *CALLBACK_METRICS,
    OwnMetric("mixer_adapter_vm_starts_total", "mixer.adapter.vm.starts", _C, "{start}",
              "Starts of an adapter's VM, failed ones included.",
              _adapters(lambda a: a.stats.starts)),
    OwnMetric("mixer_adapter_vm_failed_starts_total", "mixer.adapter.vm.failed_starts", _C,
              "{start}", "Starts of an adapter's VM that failed.",
              _adapters(lambda a: a.stats.failed_starts)),
    OwnMetric("mixer_adapter_state", "mixer.adapter.state", _G, "1",
              "1 for the state that an adapter is in, else 0.", _states),
    OwnMetric("mixer_adapter_memory_bytes", "mixer.adapter.memory", _G, "By",
              "Bytes of linear memory of an adapter's VM.", _adapters(lambda a: a.memory_bytes)),
    OwnMetric("mixer_adapter_memory_limit_bytes", "mixer.adapter.memory.limit", _G, "By",
              "Bytes of linear memory that an adapter's VM may have.",
              _adapters(lambda a: a.plugin.limits.memory_bytes)),
    OwnMetric("mixer_adapter_lost_notifications_total", "mixer.adapter.lost_notifications", _C,
              "{message}", "Messages of queues that an adapter was not told of: too many waited.",
              _adapters(lambda a: a.lost_notifications)),
    OwnMetric("mixer_shared_data_keys", "mixer.shared_data.keys", _G, "{key}",
              "Keys of shared data.", _data(lambda u: u.keys)),
    OwnMetric("mixer_shared_data_bytes", "mixer.shared_data.size", _G, "By",
              "Bytes of the keys and values of shared data.", _data(lambda u: u.size)),
    OwnMetric("mixer_shared_data_refused_total", "mixer.shared_data.refused", _C, "{set}",
              "Sets of shared data that a bound refused.", _data(lambda u: u.refused)),
    OwnMetric("mixer_shared_data_expired_total", "mixer.shared_data.expired", _C, "{key}",
              "Keys of shared data that expired and were cleared away.",
              _data(lambda u: u.expired)),
    OwnMetric("mixer_shared_queue_messages", "mixer.shared_queue.messages", _G, "{message}",
              "Messages in a shared queue.", _queues(lambda u: u.length)),
    OwnMetric("mixer_shared_queue_bytes", "mixer.shared_queue.size", _G, "By",
              "Bytes of the messages in a shared queue.", _queues(lambda u: u.size)),
    OwnMetric("mixer_shared_queue_refused_total", "mixer.shared_queue.refused", _C, "{message}",
              "Messages that a bound of a shared queue refused.", _queues(lambda u: u.refused)),
    *QUOTA_METRICS,
    *CALL_METRICS,
    *LEDGER_METRICS,
    OwnMetric("mixer_load_admitted_total", "mixer.load.admitted", _C, "{request}",
              "Requests that load shedding let in.", _load(load.admitted)),
    OwnMetric("mixer_load_shed_total", "mixer.load.shed", _C, "{request}",
              "Requests that load shedding refused, by bound.", _load(load.shed)),
    OwnMetric("mixer_load_would_shed_total", "mixer.load.would_shed", _C, "{request}",
              "Requests that LOG_ONLY let in although they exceeded a bound.",
              _load(load.would_shed)),
    OwnMetric("mixer_load_in_progress", "mixer.load.in_progress", _G, "{request}",
              "Checks, and records of reports, that are in progress.", _load(load.in_progress)),
    OwnMetric("mixer_load_latency_microseconds", "mixer.load.latency", _G, "us",
              "How long callers wait, as measured last.", _load(load.latency)),
    OwnMetric("mixer_load_shed_percent", "mixer.load.shed_share", _G, "%",
              "Which share is refused for it.", _load(load.share)),
    OwnMetric("mixer_listener_certificate_expiration_seconds",
              "mixer.listener.certificate.expiration", _G, "s",
              "When the certificate ends that a listener shows, in seconds since 1970.",
              _access(listeners.expirations)),
    OwnMetric("mixer_listener_certificate_stale", "mixer.listener.certificate.stale", _G, "1",
              "1 while the files of a listener's TLS cannot be used and what they had before is,"
              " else 0.", _access(listeners.stale)),
    OwnMetric("mixer_listener_refused_callers_total", "mixer.listener.refused_callers", _C,
              "{call}", "Calls of callers that a listener's list does not have.",
              _access(listeners.refused)),
    OwnMetric("mixer_decision_log_told_total", "mixer.decision_log.told", _C, "{decision}",
              "Decisions that the decision log was told.", lambda o: decision_log.told(o.engine)),
    OwnMetric("mixer_decision_log_written_total", "mixer.decision_log.written", _C, "{decision}",
              "Decisions that were written, by where they go.",
              lambda o: decision_log.written(o.engine)),
    OwnMetric("mixer_decision_log_dropped_total", "mixer.decision_log.dropped", _C, "{decision}",
              "Decisions that were not written, by where they were to go; too_many is for those"
              " beyond maxPerSecond.", lambda o: decision_log.dropped(o.engine)),
    OwnMetric("mixer_module_metrics_families", "mixer.module_metrics.families", _G, "{family}",
              "Names under which the metrics of modules are told.",
              _one(lambda o: len(o.modules))),
    OwnMetric("mixer_module_metrics_hidden", "mixer.module_metrics.hidden", _G, "{metric}",
              "Metrics of modules that are not told, by reason.", _hidden),
    OwnMetric("mixer_module_metrics_refused_total", "mixer.module_metrics.refused", _C, "{call}",
              "Definitions of metrics that a bound refused.",
              _one(lambda o: o.engine.services.metrics.refused)),
)  # fmt: skip
"""Every metric of the service itself, in the order in which it is told."""
