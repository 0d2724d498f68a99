"""How a counter counts: pure functions of its state, a charge and the time, in whole numbers.

A state is None for a counter of which nothing is taken. That of a fixed window is (start, used).
That of the generic cell rate algorithm, which a token bucket is as well, is (tat, limit): the
theoretical arrival time in nanoseconds times the limit, so that nothing is ever rounded.
"""

from typing import NamedTuple, Protocol

from mixer.state.quota.ports import Algorithm, Charge, Standing

State = tuple[int, int]


class Rule(Protocol):
    """One way to count; times are nanoseconds, the state is None where nothing is taken."""

    def available(self, state: State | None, charge: Charge, now: int) -> int:
        """How much can be taken."""

    def after(self, state: State | None, charge: Charge, amount: int, now: int) -> State | None:
        """The state after so much was taken, or put back where it is negative."""

    def full_at(self, state: State, window: int) -> int:
        """When all of it is there again."""

    def reset(self, state: State | None, charge: Charge, now: int) -> int:
        """Nanoseconds until all of it is there again."""

    def retry_after(self, state: State | None, charge: Charge, now: int) -> int:
        """Nanoseconds until a charge that is refused could pass; 0 for never."""


class FixedWindow:
    """``limit`` in each window, which begins with the first amount that is taken."""

    @staticmethod
    def _alive(state: State | None, charge: Charge, now: int) -> State | None:
        return None if state is None or now >= state[0] + charge.window_ns else state

    def available(self, state: State | None, charge: Charge, now: int) -> int:
        """See `Rule`."""
        alive = self._alive(state, charge, now)
        return charge.limit if alive is None else max(0, charge.limit - alive[1])

    def after(self, state: State | None, charge: Charge, amount: int, now: int) -> State | None:
        """See `Rule`; a window in which all was put back goes on."""
        alive = self._alive(state, charge, now)
        if alive is None:
            return (now, amount) if amount > 0 else None
        return alive[0], max(0, alive[1] + amount)

    def full_at(self, state: State, window: int) -> int:
        """See `Rule`."""
        return state[0] + window

    def reset(self, state: State | None, charge: Charge, now: int) -> int:
        """See `Rule`; where the clock went back, the window counts from its start."""
        alive = self._alive(state, charge, now)
        return charge.window_ns if alive is None else min(alive[0] - now, 0) + charge.window_ns

    def retry_after(self, state: State | None, charge: Charge, now: int) -> int:
        """See `Rule`."""
        return 0 if charge.cost > charge.limit else self.reset(state, charge, now)


class CellRate:
    """``limit`` in each window, evenly, with ``burst`` at once."""

    @staticmethod
    def _base(state: State | None, charge: Charge, now: int) -> int:
        """From when on the next amount counts; a limit that was changed keeps what is taken."""
        if state is None:
            return now * charge.limit
        tat, limit = state
        if limit != charge.limit:
            tat = _ceil(tat * charge.limit, limit)
        return max(now * charge.limit, tat)

    @staticmethod
    def _tolerance(charge: Charge) -> int:
        return (charge.burst or charge.limit) * charge.window_ns

    def available(self, state: State | None, charge: Charge, now: int) -> int:
        """See `Rule`."""
        ahead = self._base(state, charge, now) - now * charge.limit
        return max(0, (self._tolerance(charge) - ahead) // charge.window_ns)

    def after(self, state: State | None, charge: Charge, amount: int, now: int) -> State | None:
        """See `Rule`."""
        tat = self._base(state, charge, now) + amount * charge.window_ns
        return (tat, charge.limit) if tat > now * charge.limit else None

    def full_at(self, state: State, window: int) -> int:
        """See `Rule`."""
        del window
        return _ceil(*state)

    def reset(self, state: State | None, charge: Charge, now: int) -> int:
        """See `Rule`."""
        ahead = self._base(state, charge, now) - now * charge.limit
        return _ceil(ahead, charge.limit)

    def retry_after(self, state: State | None, charge: Charge, now: int) -> int:
        """See `Rule`."""
        if charge.cost > (charge.burst or charge.limit):
            return 0
        ahead = self._base(state, charge, now) - now * charge.limit
        over = ahead + charge.cost * charge.window_ns - self._tolerance(charge)
        return _ceil(over, charge.limit)


def _ceil(amount: int, divisor: int) -> int:
    return -(-amount // divisor)


_FIXED: Rule = FixedWindow()
_CELLS: Rule = CellRate()
RULES: dict[Algorithm, Rule] = {
    Algorithm.FIXED_WINDOW: _FIXED,
    Algorithm.SLIDING_WINDOW: _CELLS,
    Algorithm.TOKEN_BUCKET: _CELLS,
}


class Counted(NamedTuple):
    """What came of one charge.

    Attributes:
        state: Of the counter from now on.
        changed: Whether it is another one than before.
        standing: What to tell.
    """

    state: State | None
    changed: bool
    standing: Standing


def count(
    charges: tuple[Charge, ...], states: list[State | None], now: int, *, best_effort: bool
) -> list[Counted]:
    """Look at all counters, then take of all or of none.

    Args:
        charges: What is asked for.
        states: One for each charge.
        now: Nanoseconds.
        best_effort: Takes what there is of the single charge.
    """
    refuses, looks = False, []
    for charge, state in zip(charges, states, strict=True):
        rule = RULES[charge.algorithm]
        available = rule.available(state, charge, now)
        looks.append((charge, state, rule, available))
        refuses |= charge.cost > available and not charge.shadow
    if refuses and not best_effort:
        return [_untouched(*look, now) for look in looks]
    return [_taken(*look, now) for look in looks]


def _untouched(
    charge: Charge, state: State | None, rule: Rule, available: int, now: int
) -> Counted:
    refused = charge.cost > available
    retry = rule.retry_after(state, charge, now) if refused else 0
    reset = rule.reset(state, charge, now)
    return Counted(state, False, Standing(0, refused, available, reset, retry))


def _taken(charge: Charge, state: State | None, rule: Rule, available: int, now: int) -> Counted:
    amount = min(charge.cost, available)
    if not amount:
        return _untouched(charge, state, rule, available, now)
    after = rule.after(state, charge, amount, now)
    refused = charge.cost > available
    standing = Standing(
        max(0, amount),
        refused,
        available - amount if amount > 0 else rule.available(after, charge, now),
        rule.reset(after, charge, now),
        rule.retry_after(after, charge, now) if refused else 0,
    )
    return Counted(after, True, standing)
