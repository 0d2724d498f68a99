"""Shared data in the memory of this process."""

from collections.abc import Mapping
from itertools import count

from mixer.state.limits import StateLimits
from mixer.state.ports import DataUsage, Entry, SetResult


class _Space:
    """The keys of one ``vm_id``."""

    __slots__ = ("entries", "refused", "size")

    def __init__(self) -> None:
        self.entries: dict[bytes, Entry] = {}
        self.size = 0
        self.refused = 0


class MemorySharedData:
    """`mixer.state.SharedData` for one thread.

    Args:
        limits: Of each ``vm_id``.
    """

    def __init__(self, limits: StateLimits | None = None) -> None:
        self._limits = limits or StateLimits()
        self._spaces: dict[str, _Space] = {}
        self._cas = count(1)

    def get(self, vm_id: str, key: bytes) -> Entry | None:
        """See `mixer.state.SharedData`."""
        space = self._spaces.get(vm_id)
        return None if space is None else space.entries.get(key)

    def set(self, vm_id: str, key: bytes, value: bytes, cas: int = 0) -> SetResult:
        """See `mixer.state.SharedData`."""
        space = self._spaces.setdefault(vm_id, _Space())
        old = space.entries.get(key)
        if old is not None and cas not in (0, old.cas):
            return SetResult.CAS_MISMATCH
        more = len(value) - len(old.value) if old is not None else len(key) + len(value)
        if not self._fits(space, more, is_new=old is None):
            space.refused += 1
            return SetResult.FULL
        space.size += more
        space.entries[key] = Entry(value, self._next_cas())
        return SetResult.OK

    def _fits(self, space: _Space, more: int, *, is_new: bool) -> bool:
        if is_new and len(space.entries) >= self._limits.max_keys:
            return False
        return more <= 0 or space.size + more <= self._limits.max_data_bytes

    def _next_cas(self) -> int:
        """Within the 32 bits of the ABI, and never 0."""
        return next(self._cas) % 0xFFFF_FFFF or next(self._cas) % 0xFFFF_FFFF

    def usage(self) -> Mapping[str, DataUsage]:
        """See `mixer.state.SharedData`."""
        return {
            vm_id: DataUsage(len(space.entries), space.size, space.refused)
            for vm_id, space in self._spaces.items()
        }
