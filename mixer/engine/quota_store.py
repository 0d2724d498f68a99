"""The counters of quotas, opened as they are configured."""

from mixer.config import QuotaLease, QuotaState, SharedState
from mixer.engine.sharing import in_field, redis_options
from mixer.proxywasm import Scheduler
from mixer.state.quota import MemoryQuotas, QuotaLimits, Quotas
from mixer.state.quota.unavailable import Fallback, OnUnavailable, fallback


def open_quotas(state: SharedState, scheduler: Scheduler) -> Quotas:
    """Open the configured counters; those of Redis also while it is down.

    Raises:
        StoreError: They cannot be opened; the message begins with the field.
    """
    quota = state.quota
    store = quota.store or state.store
    field = "spec.state.store" if quota.store is None else "spec.state.quota.store"
    limits = QuotaLimits(quota.max_counters)
    memory = MemoryQuotas(limits)
    if store.lmdb is not None:
        from mixer.state.quota.lmdb import LmdbQuotas

        with in_field(f"{field}.lmdb"):
            folder = store.lmdb.path / "quota"
            return LmdbQuotas(
                folder, store.lmdb.map_size, limits, unavailable=_fallback(quota, memory)
            )
    if store.redis is not None:
        from mixer.state.quota.redis import RedisQuotas

        counters = RedisQuotas(redis_options(store.redis), _fallback(quota, memory))
        return counters if quota.lease is None else _leased(counters, quota.lease, scheduler)
    return memory


def _fallback(quota: QuotaState, memory: MemoryQuotas) -> Fallback:
    return fallback(OnUnavailable(quota.on_unavailable.value), memory)


def _leased(counters: Quotas, lease: QuotaLease, scheduler: Scheduler) -> Quotas:
    from mixer.state.quota.lease import LeasedQuotas, LeaseOptions

    options = LeaseOptions(lease.amount, lease.percent or 0, round(lease.max_age * 1e9))
    return LeasedQuotas(counters, options, scheduler.schedule)
