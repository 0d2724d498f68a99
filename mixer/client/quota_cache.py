"""Pools of granted quota, by what the grants followed from."""

import time
from collections.abc import Callable

from mixer.client.alike import AlikeMap
from mixer.client.quota_pool import QuotaPool
from mixer.client.references import Attributes, Conditions, references
from mixer.client.settings import QuotaCacheSettings
from mixer.wire import mixer_v1_pb2 as pb

_POOL_BYTES = 1200


class QuotaCache:
    """A pool for each quota and each combination of values that it depends on.

    Unlike in Istio's client, requests share no pool before the server said that they are alike.
    Not safe for threads.

    Args:
        settings: Its bounds, and how much to ask for.
        clock: Nanoseconds, monotonic.
    """

    def __init__(
        self, settings: QuotaCacheSettings, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._settings = settings
        self._idle = int(settings.idle * 1_000_000_000)
        self._clock = clock
        self.pools: AlikeMap[QuotaPool] = AlikeMap(
            settings.entries, settings.max_bytes, settings.reference_sets
        )

    def find(self, name: str, attributes: Attributes) -> QuotaPool | None:
        """The pool for a request, if there is one.

        Args:
            name: Of the quota.
            attributes: Of the request.
        """
        while found := self.pools.find(attributes, name):
            key, pool = found
            if self._clock() - pool.used < self._idle:
                return pool
            self.pools.remove(key)
        return None

    def learn(
        self, name: str, attributes: Attributes, said: pb.CheckResponse.QuotaResult
    ) -> QuotaPool | None:
        """The pool for requests like one that was just answered.

        Pools that do not agree with the answer are forgotten: it follows from other things now.

        Args:
            name: Of the quota.
            attributes: Of the request, as they were sent.
            said: The answer.

        Returns:
            None where there must be none.
        """
        conditions = self._conditions(attributes, said)
        while found := self.pools.find(attributes, name):
            key, pool = found
            if key[0].conditions == conditions:
                return pool
            self.pools.remove(key)
        if conditions is None:
            return None
        self._forget_idle()
        pool = QuotaPool(self._settings, self._clock())
        self.pools.keep(attributes, conditions, pool, _POOL_BYTES, name)
        return pool

    def _conditions(
        self, attributes: Attributes, said: pb.CheckResponse.QuotaResult
    ) -> Conditions | None:
        if not self._settings.enabled or not said.HasField("referenced_attributes"):
            return None
        return references(said.referenced_attributes, attributes)

    def _forget_idle(self) -> None:
        while (oldest := self.pools.oldest()) and self._clock() - oldest[1].used >= self._idle:
            self.pools.remove(oldest[0])
