"""Counters that several take from: ports, bounds, the rules, and the implementation in memory.

`mixer.state.quota.lmdb_quotas` and `mixer.state.quota.redis_quotas` are imported only where they
are configured.
"""

from mixer.state.quota.bounds import QuotaLimits, check
from mixer.state.quota.memory import MemoryQuotas
from mixer.state.quota.ports import (
    Algorithm,
    Answer,
    Charge,
    Later,
    QuotaCounts,
    Quotas,
    Standing,
    Take,
)

__all__ = [
    "Algorithm",
    "Answer",
    "Charge",
    "Later",
    "MemoryQuotas",
    "QuotaCounts",
    "QuotaLimits",
    "Quotas",
    "Standing",
    "Take",
    "check",
]
