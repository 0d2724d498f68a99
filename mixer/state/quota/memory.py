"""Counters in the memory of this process."""

import time
from collections import OrderedDict
from collections.abc import Callable

from mixer.state.quota.bounds import QuotaLimits
from mixer.state.quota.counting import RULES, State, count
from mixer.state.quota.ports import Algorithm, Answer, Charge, QuotaCounts, Take

LOOKED_AT = 16
"""Counters of each class that are looked at for one that is full again, before one is evicted."""

CLEARED_AT_ONCE = 2
"""Of those, how many are cleared for each new counter, if there is room: no take takes long."""

_Key = tuple[bool, bytes]


class _Counter:
    """One counter of which something is taken."""

    __slots__ = ("full_at", "state", "used_at")

    def __init__(self, state: State, full_at: int, used_at: int) -> None:
        self.state = state
        self.full_at = full_at
        self.used_at = used_at


class _Space:
    """The counters of one ``vm_id``, least recently used first, by the class of their window.

    Within a class windows are alike up to a factor of two, so that those which were used first are
    about the first to be full again.
    """

    __slots__ = ("answers", "classes", "counters", "limit", "uses")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.counters: dict[_Key, tuple[int, _Counter]] = {}
        self.classes: dict[int, OrderedDict[_Key, _Counter]] = {}
        self.answers: OrderedDict[tuple[bytes, int], tuple[int, int, Answer]] = OrderedDict()
        self.uses = 0

    def state(self, key: _Key) -> State | None:
        found = self.counters.get(key)
        return None if found is None else found[1].state

    def put(self, key: _Key, charge: Charge, state: State | None, now: int) -> bool:
        """Keep a state, as used now; whether that evicted a counter that was not full again."""
        if state is None:
            self._drop(key)
            return False
        found = self.counters.get(key)
        full_at = RULES[charge.algorithm].full_at(state, charge.window_ns)
        self.uses += 1
        size = charge.window_ns.bit_length()
        if found is not None and found[0] == size:
            counter = found[1]
            counter.state, counter.full_at, counter.used_at = state, full_at, self.uses
            self.classes[size].move_to_end(key)
            return False
        self._drop(key)
        evicted = self._make_room(now)
        counter = _Counter(state, full_at, self.uses)
        self.counters[key] = size, counter
        self.classes.setdefault(size, OrderedDict())[key] = counter
        return evicted

    def _drop(self, key: _Key) -> None:
        found = self.counters.pop(key, None)
        if found is not None:
            del self.classes[found[0]][key]

    def _make_room(self, now: int) -> bool:
        for full in self._full_again(now):
            self._drop(full)
        if len(self.counters) < self.limit:
            return False
        fronts = (next(iter(one.items())) for one in self.classes.values() if one)
        self._drop(min(fronts, key=lambda front: front[1].used_at)[0])
        return True

    def _full_again(self, now: int) -> list[_Key]:
        """Some counters of which nothing is taken any more."""
        found: list[_Key] = []
        for counters in self.classes.values():
            looked_at = LOOKED_AT if len(self.counters) >= self.limit else CLEARED_AT_ONCE
            for (key, counter), _ in zip(counters.items(), range(looked_at), strict=False):
                if counter.full_at <= now:
                    found.append(key)
        return found

    def remember(self, take: Take, answer: Answer, now: int) -> None:
        while self.answers and next(iter(self.answers.values()))[0] <= now:
            self.answers.popitem(last=False)
        name = take.dedup_id, len(take.charges)
        self.answers.pop(name, None)
        if len(self.answers) >= self.limit:
            self.answers.popitem(last=False)
        self.answers[name] = now + take.dedup_window_ns, now, answer

    def remembered(self, take: Take, now: int) -> Answer | None:
        found = self.answers.get((take.dedup_id, len(take.charges)))
        if found is None or found[0] <= now:
            return None
        _, at, answer = found
        return answer.again(now - at)


class MemoryQuotas:
    """`mixer.state.quota.Quotas` for one thread; it answers at once.

    Args:
        limits: Of each ``vm_id``.
        clock: Nanoseconds since some moment. What is gone with the process needs no wall clock,
            and no jump of that one changes anything here.

    Attributes:
        counts: What became of takes.
    """

    def __init__(
        self, limits: QuotaLimits | None = None, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._limits = limits or QuotaLimits()
        self._clock = clock
        self._spaces: dict[str, _Space] = {}
        self.counts = QuotaCounts()

    def take(self, vm_id: str, take: Take) -> Answer:
        """See `mixer.state.quota.Quotas`."""
        self.counts.takes += 1
        space = self._spaces.get(vm_id)
        if space is None:
            space = self._spaces[vm_id] = _Space(self._limits.max_counters)
        now = self._clock()
        if take.dedup_id:
            known = space.remembered(take, now)
            if known is not None:
                return known
        answer = self._count(space, take, now)
        self.counts.note(take, answer)
        if take.dedup_id and take.dedup_window_ns:
            space.remember(take, answer, now)
        return answer

    def _count(self, space: _Space, take: Take, now: int) -> Answer:
        keys = [(c.algorithm is Algorithm.FIXED_WINDOW, c.key) for c in take.charges]
        states = [space.state(key) for key in keys]
        found = count(take.charges, states, now, best_effort=take.best_effort)
        for key, charge, one in zip(keys, take.charges, found, strict=True):
            self.counts.evicted += space.put(key, charge, one.state, now)
        return Answer(tuple([one.standing for one in found]))

    def __len__(self) -> int:
        """See `mixer.state.quota.Quotas`."""
        return sum(len(space.counters) for space in self._spaces.values())

    def close(self) -> None:
        """See `mixer.state.quota.Quotas`."""
        self._spaces.clear()
