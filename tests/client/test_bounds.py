"""What hostile or endless input costs."""

import gc
import os

import psutil

from mixer.client.alike import AlikeMap
from mixer.client.quota_cache import QuotaCache
from mixer.client.references import Conditions
from mixer.client.settings import CheckCacheSettings, QuotaCacheSettings
from tests.client.answers import exact, granted

MIB = 1 << 20


def _resident() -> int:
    gc.collect()
    return psutil.Process(os.getpid()).memory_info().rss


def test_a_million_keys_take_no_more_memory_than_ten_thousand() -> None:
    """Answers to 1,000,000 different users against the default bounds."""
    bounds = CheckCacheSettings()
    kept: AlikeMap[object] = AlikeMap(bounds.entries, bounds.max_bytes, bounds.reference_sets)
    conditions = Conditions(frozenset({"source.user"}), frozenset(), frozenset())
    full = 0
    for number in range(1_000_000):
        kept.keep({"source.user": f"user-{number}"}, conditions, object(), 100)
        if number == 50_000:
            full = _resident()
    assert len(kept) == 10_000
    assert kept.size < 16 * MIB
    assert _resident() - full < 8 * MIB


def test_quota_pools_are_bounded_and_forgotten() -> None:
    """In number, and by the time that nobody asked for them."""
    now = 0
    cache = QuotaCache(QuotaCacheSettings(entries=100), lambda: now)
    said = granted(5, references=exact("source.user"))
    for number in range(1000):
        cache.learn("calls", {"source.user": number}, said)
    assert len(cache.pools) == 100
    assert cache.find("calls", {"source.user": 999})
    now = 600_000_000_000
    assert cache.find("calls", {"source.user": 999}) is None
    cache.learn("calls", {"source.user": 0}, said)
    assert len(cache.pools) == 1
