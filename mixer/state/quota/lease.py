"""Amounts that are taken from a store beforehand, so that takes are answered at once."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

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

MAX_LEASES = 4096
"""Counters of which one process has a lease, or has asked for more than once lately."""

MARGIN_NS = 1_000_000_000
"""An amount is not put back into a fixed window that ends so soon: it could come into the next."""

_SWEEPS = 4

Schedule = Callable[[float, Callable[[], None]], Callable[[], None]]
"""Calls once, after so many seconds; gives what cancels it."""


@dataclass(frozen=True, slots=True)
class LeaseOptions:
    """How much is taken beforehand, and for how long.

    Attributes:
        amount: That one process holds of one counter at the most; None goes by ``percent``.
        percent: The same as a share of the limit, at least 1.
        max_age_ns: Nanoseconds after which what was not used is put back.
    """

    amount: int | None = None
    percent: int = 1
    max_age_ns: int = 1_000_000_000

    def parcel(self, charge: Charge) -> int:
        """How much is taken at once: half, since one is asked for before the last is used up."""
        most = charge.limit * self.percent // 100 if self.amount is None else self.amount
        return max(1, min(most, charge.limit) // 2)


@dataclass(slots=True)
class _Parcel:
    """What one request to the store was granted.

    Attributes:
        left: Of it.
        until: When it is not used any more.
        full_at: When all of the counter is there again, this with it; of a fixed window, its end.
    """

    left: int
    until: int
    full_at: int


@dataclass(slots=True)
class _Lease:
    """What one process has of one counter.

    Attributes:
        charge: What is asked for at once.
        parcels: The oldest first.
        is_asked: Whether one is under way.
        not_before: When to ask again.
        missed_at: When a take could not be answered at once.
        elsewhere: What the store had left.
        full_at: When all of it is there again.
    """

    charge: Charge
    missed_at: int
    parcels: deque[_Parcel] = field(default_factory=deque)
    is_asked: bool = False
    not_before: int = 0
    elsewhere: int = 0
    full_at: int = 0

    def left(self, now: int) -> int:
        return sum([one.left for one in self.parcels if one.until > now])

    def use(self, amount: int, now: int) -> None:
        for parcel in self.parcels:
            if parcel.until > now:
                used = min(amount, parcel.left)
                parcel.left -= used
                amount -= used
        while self.parcels and not self.parcels[0].left:
            self.parcels.popleft()


_Name = tuple[str, bytes, Algorithm, int, int, int]


class LeasedQuotas:
    """`mixer.state.quota.Quotas` that answers most takes at once, of what it took before.

    A counter gets a lease when it is asked for twice within ``max_age_ns``. What a process holds
    was counted when it was taken, so that what passes late is all that can be too much: see
    ``docs/quota.md`` for the bound.

    Args:
        inner: The store.
        options: How much, and for how long.
        schedule: Calls back later.
        clock: Nanoseconds, monotonic.

    Attributes:
        counts: What became of takes.
    """

    def __init__(
        self,
        inner: Quotas,
        options: LeaseOptions,
        schedule: Schedule,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.counts: QuotaCounts = inner.counts
        self._inner = inner
        self._options = options
        self._schedule = schedule
        self._clock = clock
        self._leases: OrderedDict[_Name, _Lease] = OrderedDict()
        self._cancel_sweep: Callable[[], None] | None = None

    def take(self, vm_id: str, take: Take) -> Answer | Later:
        """See `mixer.state.quota.Quotas`."""
        if take.dedup_id or take.best_effort or any(one.cost <= 0 for one in take.charges):
            return self._inner.take(vm_id, take)
        now = self._clock()
        names = [(vm_id, *charge[:5]) for charge in take.charges]
        leases = [self._leases.get(name) for name in names]
        served = _served(take, [one for one in leases if one is not None], now)
        if served is None:
            answer = self._inner.take(vm_id, take)
            for name, charge in zip(names, take.charges, strict=True):
                self._missed(name, charge, now)
            return answer
        self.counts.takes += 1
        for name, lease in zip(names, leases, strict=True):
            if lease is not None and lease.left(now) < lease.charge.cost:
                self._ask(name, lease, now)
        return served

    def _missed(self, name: _Name, charge: Charge, now: int) -> None:
        lease = self._leases.get(name)
        if lease is None:
            asked = charge._replace(cost=self._options.parcel(charge), shadow=False)
            self._leases[name] = _Lease(asked, now)
            self._bound()
            self._sweep_later()
            return
        self._leases.move_to_end(name)
        if now - lease.missed_at <= self._options.max_age_ns:
            self._ask(name, lease, now)
        lease.missed_at = now

    def _bound(self) -> None:
        if len(self._leases) > MAX_LEASES:
            name, lease = self._leases.popitem(last=False)
            self._give_back(name, lease, list(lease.parcels))

    def _ask(self, name: _Name, lease: _Lease, now: int) -> None:
        if lease.is_asked or now < lease.not_before:
            return
        lease.is_asked = True

        def arrived(answer: Answer) -> None:
            self._arrived(name, lease, answer, now)

        found = self._inner.take(name[0], Take((lease.charge,), best_effort=True))
        if isinstance(found, Answer):
            arrived(found)
        else:
            found.wait(arrived)

    def _arrived(self, name: _Name, lease: _Lease, answer: Answer, asked_at: int) -> None:
        lease.is_asked = False
        if answer.local or not answer.standings[0].granted:
            lease.not_before = asked_at + self._options.max_age_ns
            return
        standing = answer.standings[0]
        parcel = self._parcel(lease, standing, asked_at)
        lease.parcels.append(parcel)
        lease.elsewhere = standing.remaining
        lease.full_at = asked_at + standing.reset_ns
        if self._leases.get(name) is not lease:  # it was given up meanwhile
            self._give_back(name, lease, [parcel])

    def _parcel(self, lease: _Lease, standing: Standing, asked_at: int) -> _Parcel:
        until = asked_at + self._options.max_age_ns
        # In the store it is later than that: it was asked after this process asked.
        full_at = asked_at + standing.reset_ns
        if lease.charge.algorithm is Algorithm.FIXED_WINDOW:
            until = min(until, full_at)
        return _Parcel(standing.granted, until, full_at)

    def _sweep_later(self) -> None:
        if self._cancel_sweep is None and self._leases:
            seconds = self._options.max_age_ns / _SWEEPS / 1e9
            self._cancel_sweep = self._schedule(seconds, self._sweep)

    def _sweep(self) -> None:
        """Put back what is too old, and forget what nobody asks for."""
        self._cancel_sweep = None
        now = self._clock()
        for name, lease in list(self._leases.items()):
            old = [one for one in lease.parcels if one.until <= now]
            lease.parcels = deque([one for one in lease.parcels if one.until > now])
            self._give_back(name, lease, old)
            idle = now - lease.missed_at > self._options.max_age_ns
            if idle and not lease.parcels and not lease.is_asked:
                del self._leases[name]
        self._sweep_later()

    def _give_back(self, name: _Name, lease: _Lease, parcels: list[_Parcel]) -> None:
        now = self._clock()
        amount = sum([_returnable(lease.charge, one, now) for one in parcels])
        if amount:
            charge = lease.charge._replace(cost=-amount)
            found = self._inner.take(name[0], Take((charge,)))
            if not isinstance(found, Answer):
                found.cancel()  # nobody has to be told

    def __len__(self) -> int:
        """See `mixer.state.quota.Quotas`."""
        return len(self._inner) + len(self._leases)

    def close(self) -> None:
        """See `mixer.state.quota.Quotas`; what is held is put back."""
        if self._cancel_sweep is not None:
            self._cancel_sweep()
        for name, lease in self._leases.items():
            self._give_back(name, lease, list(lease.parcels))
        self._leases.clear()
        self._inner.close()


def _returnable(charge: Charge, parcel: _Parcel, now: int) -> int:
    """What the store still counts of a parcel: the rest has come back by itself."""
    rest = parcel.full_at - now
    if charge.algorithm is Algorithm.FIXED_WINDOW:
        return parcel.left if rest > MARGIN_NS else 0
    return min(parcel.left, max(0, rest) * charge.limit // charge.window_ns)


def _served(take: Take, leases: list[_Lease], now: int) -> Answer | None:
    """Take of leases alone, or of none."""
    if len(leases) < len(take.charges):
        return None
    lefts = [lease.left(now) for lease in leases]
    if any(left < one.cost for left, one in zip(lefts, take.charges, strict=True)):
        return None
    standings = []
    for charge, lease, left in zip(take.charges, leases, lefts, strict=True):
        lease.use(charge.cost, now)
        remaining = left - charge.cost + lease.elsewhere
        reset = max(0, lease.full_at - now)
        standings.append(Standing(charge.cost, False, remaining, reset, 0))
    return Answer(tuple(standings))
