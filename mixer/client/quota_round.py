"""The quotas of one check: from where, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mixer.client.quota_cache import QuotaCache
from mixer.client.quota_pool import Grant, Plan, QuotaPool, Source
from mixer.client.references import Attributes
from mixer.client.results import (
    OK,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    Quota,
    QuotaResult,
    nanoseconds,
)
from mixer.wire import mixer_v1_pb2 as pb

_EXHAUSTED = "Quota is exhausted for: "


@dataclass(slots=True)
class _Ask:
    """One of the quotas."""

    quota: Quota
    pool: QuotaPool | None
    plan: Plan
    taken: list[Grant] = field(default_factory=list)


class QuotaRound:
    """What one check does with its quotas.

    Either `refused` tells that there is nothing to do, or `begin` does it; then, if `params` has
    anything to ask the server, `settle` takes the answer, or `fail` that there is none.

    Args:
        cache: The pools.
        attributes: Of the request; they stay as they are.
        quotas: What it wants, by name.
        from_pools: Whether pools may serve: only if nothing else is asked of the server.
        now: Nanoseconds, monotonic.
    """

    def __init__(
        self,
        cache: QuotaCache,
        attributes: Attributes,
        quotas: Mapping[str, Quota],
        from_pools: bool,
        now: int,
    ) -> None:
        self._cache = cache
        self._attributes = attributes
        self._from_pools = from_pools
        self._asks = {name: self._ask(name, quota, now) for name, quota in quotas.items()}

    def _ask(self, name: str, quota: Quota, now: int) -> _Ask:
        pool = self._cache.find(name, self._attributes)
        if pool is None or not self._from_pools:
            return _Ask(quota, pool, Plan(Source.SERVER, quota.amount, in_advance=False))
        return _Ask(quota, pool, pool.plan(quota.amount, quota.best_effort, now))

    @property
    def waits(self) -> bool:
        """Whether the check cannot be answered before the server is asked."""
        return any(ask.plan.source is Source.SERVER for ask in self._asks.values())

    def refused(self) -> dict[str, QuotaResult]:
        """The quotas of which there is nothing, and the server need not be asked again so soon."""
        return {
            name: QuotaResult(0, RESOURCE_EXHAUSTED, _EXHAUSTED + name, from_cache=True)
            for name, ask in self._asks.items()
            if ask.plan.source is Source.NOWHERE
        }

    def begin(self, now: int) -> dict[str, pb.CheckRequest.QuotaParams]:
        """Take what the pools have.

        Returns:
            What to ask the server for.
        """
        params = {}
        for name, ask in self._asks.items():
            quota, plan = ask.quota, ask.plan
            if ask.pool and plan.source is Source.POOL:
                ask.taken = ask.pool.take(quota.amount, now)
            if plan.fetch:
                if ask.pool:
                    ask.pool.fetch_begins(now)
                params[name] = pb.CheckRequest.QuotaParams(
                    amount=plan.fetch, best_effort=plan.in_advance or quota.best_effort
                )
        return params

    def pooled(self) -> dict[str, QuotaResult]:
        """What the pools gave."""
        return {
            name: QuotaResult(sum(grant.amount for grant in ask.taken), from_cache=True)
            for name, ask in self._asks.items()
            if ask.plan.source is Source.POOL
        }

    def granted(self) -> dict[str, QuotaResult]:
        """Everything granted, without anybody having been asked."""
        return {name: QuotaResult(ask.quota.amount) for name, ask in self._asks.items()}

    def settle(
        self, response: pb.CheckResponse, asked: int, now: int, fail_open: bool
    ) -> dict[str, QuotaResult]:
        """Take the server's answer; if any quota is refused, the others are given back.

        Args:
            response: The answer.
            asked: When the server was asked: grants hold no longer than they do there.
            now: Nanoseconds, monotonic.
            fail_open: Whether a quota that the server says nothing about is granted.
        """
        results = self.pooled()
        for name, ask in self._asks.items():
            if ask.plan.fetch:
                said = response.quotas.get(name)
                result = self._settled(name, ask, said, asked, now)
                if fail_open and said is None:
                    result = QuotaResult(ask.quota.amount)
                if ask.plan.source is Source.SERVER:
                    results[name] = result
        if any(result.code != OK for result in results.values()):
            self._put_back()
        return results

    def _settled(
        self,
        name: str,
        ask: _Ask,
        said: pb.CheckResponse.QuotaResult | None,
        asked: int,
        now: int,
    ) -> QuotaResult:
        if said is None or said.status.code not in {OK, RESOURCE_EXHAUSTED}:
            if ask.pool:
                ask.pool.fetch_failed()
            if said is None:
                return QuotaResult(0, UNAVAILABLE, f"the server does not tell of the quota {name}")
            return QuotaResult(0, said.status.code, said.status.message)
        pool = self._cache.learn(name, self._attributes, said)
        if pool is not ask.pool:
            if ask.pool:
                ask.pool.fetch_failed()
            if pool:
                pool.fetch_begins(now)
            ask.pool = pool
        used = self._divided(ask, said, asked, now)
        valid = nanoseconds(said.valid_duration)
        if used or ask.plan.source is Source.POOL:
            return QuotaResult(used, valid_duration=valid)
        message = said.status.message or _EXHAUSTED + name
        return QuotaResult(0, RESOURCE_EXHAUSTED, message, valid_duration=valid)

    def _divided(self, ask: _Ask, said: pb.CheckResponse.QuotaResult, asked: int, now: int) -> int:
        """Use of a grant what this check wants, and leave the rest to later ones."""
        wanted = ask.quota.amount if ask.plan.source is Source.SERVER else 0
        granted = max(0, said.granted_amount)
        valid = nanoseconds(said.valid_duration)
        there = granted + (ask.pool.available(now) if ask.pool else 0)
        less = there if ask.quota.best_effort else 0
        used = wanted if there >= wanted else less
        own = min(used, granted)
        if ask.pool:
            expires = asked + valid
            ask.taken += [Grant(own, expires), *ask.pool.take(used - own, now)]
            ask.pool.fetched(ask.plan.fetch, granted, Grant(granted - own, expires), valid > 0)
        return used

    def spend(self) -> None:
        """The check is answered: what the pools gave is used, whatever the server says now."""
        for ask in self._asks.values():
            ask.taken = []

    def fail(self) -> None:
        """The server did not answer, or refused the check: what the pools gave is given back."""
        for ask in self._asks.values():
            if ask.plan.fetch and ask.pool:
                ask.pool.fetch_failed()
        self._put_back()

    def _put_back(self) -> None:
        for ask in self._asks.values():
            if ask.pool:
                ask.pool.put_back(ask.taken)
            ask.taken = []


def quota_status(results: Mapping[str, QuotaResult]) -> tuple[int, str]:
    """The code and message that quotas give to a check: of the first one that is refused."""
    refused = {name: result for name, result in results.items() if result.code != OK}
    if not refused:
        return OK, ""
    exhausted = [name for name, one in refused.items() if one.code == RESOURCE_EXHAUSTED]
    messages = [_EXHAUSTED + ",".join(exhausted)] if exhausted else []
    messages += [one.message for one in refused.values() if one.code != RESOURCE_EXHAUSTED]
    return next(iter(refused.values())).code, ", ".join(messages)
