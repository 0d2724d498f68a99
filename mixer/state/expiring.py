"""Shared data in the memory of this process, for a time."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace

from mixer.state.data import MemorySharedData
from mixer.state.limits import CLEARED_AT_ONCE, StateLimits
from mixer.state.ports import DataUsage, Entry, SetResult


class ExpiringSharedData(MemorySharedData):
    """`MemorySharedData` whose keys go ``limits.ttl`` after their last set.

    Args:
        limits: Of each ``vm_id``; with a ``ttl``.
        clock: Seconds, monotonic.
    """

    def __init__(self, limits: StateLimits, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(limits)
        self._ttl = limits.ttl or 0.0
        self._clock = clock
        self._deadlines: dict[str, OrderedDict[bytes, float]] = {}
        self._expired: Counter[str] = Counter()

    def get(self, vm_id: str, key: bytes) -> Entry | None:
        """See `mixer.state.SharedData`."""
        deadlines = self._deadlines.get(vm_id)
        if deadlines is None or deadlines.get(key, 0.0) <= self._clock():
            return None
        return super().get(vm_id, key)

    def set(self, vm_id: str, key: bytes, value: bytes, cas: int = 0) -> SetResult:
        """See `mixer.state.SharedData`."""
        deadlines = self._deadlines.setdefault(vm_id, OrderedDict())
        now = self._clock()
        if deadlines.get(key, now + 1) <= now:
            self._clear(vm_id, key)
        self._clear_others(vm_id, now, len(key) + len(value))
        result = super().set(vm_id, key, value, cas)
        if result is SetResult.OK:
            deadlines[key] = now + self._ttl
            deadlines.move_to_end(key)
        return result

    def _clear_others(self, vm_id: str, now: float, size: int) -> None:
        """Some that are due, the oldest first: as many more as it takes to make room."""
        deadlines = self._deadlines[vm_id]
        cleared = 0
        while deadlines and next(iter(deadlines.values())) <= now:
            if cleared >= CLEARED_AT_ONCE and self._fits(self._spaces[vm_id], size, is_new=True):
                return
            self._clear(vm_id, next(iter(deadlines)))
            cleared += 1

    def _clear(self, vm_id: str, key: bytes) -> None:
        space = self._spaces[vm_id]
        space.size -= len(key) + len(space.entries.pop(key).value)
        del self._deadlines[vm_id][key]
        self._expired[vm_id] += 1

    def usage(self) -> Mapping[str, DataUsage]:
        """See `mixer.state.SharedData`."""
        return {
            vm_id: replace(usage, expired=self._expired[vm_id])
            for vm_id, usage in super().usage().items()
        }
