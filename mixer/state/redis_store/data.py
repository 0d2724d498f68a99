"""Shared data in Redis.

The keys of a ``vm_id`` are the fields of one hash, so that their number and size are exact: what
expires is cleared away by the scripts and not by the server, whose own expiry tells nobody.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from mixer.state.limits import CLEARED_AT_ONCE, StateLimits
from mixer.state.ports import DataUsage, Entry, SetResult
from mixer.state.redis_store.client import MAX_SENT_BYTES, RedisClient
from mixer.state.redis_store.scripts import script

_GET = script("data_get")
_SET = script("data_set")
_USAGE = script("data_usage")
_RESULTS = (SetResult.OK, SetResult.CAS_MISMATCH, SetResult.FULL)


class RedisSharedData:
    """`mixer.state.SharedData` for many hosts.

    Args:
        client: Reaches the server.
        limits: Of each ``vm_id``.
    """

    def __init__(self, client: RedisClient, limits: StateLimits) -> None:
        self._client = client
        self._limits = limits
        self._ttl = 0 if limits.ttl is None else max(1, int(limits.ttl * 1000))
        self._refused: Counter[str] = Counter()
        self._expired: Counter[str] = Counter()

    def get(self, vm_id: str, key: bytes) -> Entry | None:
        """See `mixer.state.SharedData`."""
        if len(key) > MAX_SENT_BYTES:
            return None
        found = self._client.run(_GET, [self._client.key("data", vm_id)], key)
        return None if found is None else Entry(found[1], found[0])

    def set(self, vm_id: str, key: bytes, value: bytes, cas: int = 0) -> SetResult:
        """See `mixer.state.SharedData`."""
        if len(key) + len(value) > MAX_SENT_BYTES:
            self._refused[vm_id] += 1
            return SetResult.FULL
        name, limits = self._client.key, self._limits
        number, expired = self._client.run(
            _SET,
            [name("data", vm_id), name("sizes"), name("expiry", vm_id), name("cas")],
            *(key, value, cas, vm_id, limits.max_keys, limits.max_data_bytes),
            *(self._ttl, CLEARED_AT_ONCE),
        )
        result = _RESULTS[number]
        self._expired[vm_id] += expired
        self._refused[vm_id] += result is SetResult.FULL
        return result

    def usage(self) -> Mapping[str, DataUsage]:
        """See `mixer.state.SharedData`."""
        rows = self._client.run(_USAGE, [self._client.key("sizes")], self._client.key("data", ""))
        found = {vm_id.decode(): DataUsage(keys, size, 0) for vm_id, keys, size in rows}
        refused = (vm_id for vm_id, number in self._refused.items() if number)
        found |= {vm_id: DataUsage(0, 0, 0) for vm_id in refused if vm_id not in found}
        return {
            vm_id: replace(one, refused=self._refused[vm_id], expired=self._expired[vm_id])
            for vm_id, one in found.items()
        }
