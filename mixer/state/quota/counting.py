"""How a counter counts: pure functions of its state, a charge and the time, in whole numbers.

A state is None for a counter of which nothing is taken. That of a fixed window is (start, used).
That of the generic cell rate algorithm, which a token bucket is as well, is (tat, limit, span): the
theoretical arrival time in nanoseconds times the limit, so that nothing is ever rounded, and the
whole microseconds in which all of it comes back. A counter that is asked for with another limit or
span, such as by a host that has its new configuration already, has the same share of it taken.

A clock that is put back frees nothing. One that is put back by more than it takes for all of a
counter to be there again would hold it for as long: it is then as if all had been taken now.
"""

from typing import NamedTuple, Protocol

from mixer.state.quota.ports import Algorithm, Charge, Standing

State = tuple[int, ...]


_US = 1000


class Rule(Protocol):
    """One way to count; times are nanoseconds, the state is None where nothing is taken."""

    def look(self, state: State | None, charge: Charge, now: int) -> tuple[State | None, int]:
        """The state by this clock, and how much can be taken; the same object if it is as it was.

        A limit that was changed keeps what is taken.
        """

    def after(self, state: State | None, charge: Charge, amount: int, now: int) -> State | None:
        """The state after so much was taken, or put back where it is negative."""

    def full_at(self, state: State, window: int) -> int:
        """When all of it is there again."""

    def stand(
        self, state: State | None, charge: Charge, amount: int, now: int, *, refused: bool
    ) -> Standing:
        """What to tell after so much was taken."""


class FixedWindow:
    """``limit`` in each window, which begins with the first amount that is taken."""

    def look(self, state: State | None, charge: Charge, now: int) -> tuple[State | None, int]:
        """See `Rule`; a window that lies ahead begins again, with what was taken in it."""
        if state is None or now >= state[0] + charge.window_ns:
            return None, charge.limit
        if state[0] > now + charge.window_ns:
            state = now, state[1]
        return state, max(0, charge.limit - state[1])

    def after(self, state: State | None, charge: Charge, amount: int, now: int) -> State | None:
        """See `Rule`; a window in which all was put back goes on."""
        del charge
        if state is None:
            return (now, amount) if amount > 0 else None
        return state[0], max(0, state[1] + amount)

    def full_at(self, state: State, window: int) -> int:
        """See `Rule`."""
        return state[0] + window

    def stand(
        self, state: State | None, charge: Charge, amount: int, now: int, *, refused: bool
    ) -> Standing:
        """See `Rule`; a window has at most its length to go."""
        start, used = (now, 0) if state is None else state
        reset = min(start - now, 0) + charge.window_ns
        retry = reset if refused and charge.cost <= charge.limit else 0
        return Standing(max(0, amount), refused, max(0, charge.limit - used), reset, retry)


class CellRate:
    """``limit`` in each window, evenly, with ``burst`` at once."""

    def look(self, state: State | None, charge: Charge, now: int) -> tuple[State | None, int]:
        """See `Rule`."""
        limit, window = charge.limit, charge.window_ns
        burst = charge.burst or limit
        if state is None:
            return None, burst
        span = _span(charge)
        if state[1:] != (limit, span):
            state = now * limit + _share(state, span, now) * limit, limit, span
        ahead, tolerance = state[0] - now * limit, burst * window
        if ahead <= 0:
            return None, burst
        if ahead > tolerance:
            return (now * limit + tolerance, limit, span), 0
        return state, (tolerance - ahead) // window

    def after(self, state: State | None, charge: Charge, amount: int, now: int) -> State | None:
        """See `Rule`."""
        base = now * charge.limit
        tat = (base if state is None else state[0]) + amount * charge.window_ns
        return (tat, charge.limit, _span(charge)) if tat > base else None

    def full_at(self, state: State, window: int) -> int:
        """See `Rule`."""
        del window
        return _ceil(state[0], state[1])

    def stand(
        self, state: State | None, charge: Charge, amount: int, now: int, *, refused: bool
    ) -> Standing:
        """See `Rule`."""
        limit, window = charge.limit, charge.window_ns
        burst = charge.burst or limit
        ahead = 0 if state is None else state[0] - now * limit
        spare = burst * window - ahead
        retry = 0
        if refused and charge.cost <= burst:
            retry = _ceil(charge.cost * window - spare, limit)
        return Standing(max(0, amount), refused, spare // window, _ceil(ahead, limit), retry)


def _span(charge: Charge) -> int:
    return _ceil((charge.burst or charge.limit) * charge.window_ns, charge.limit * _US)


def _share(state: State, span: int, now: int) -> int:
    """Nanoseconds of another span in which the same share of it comes back, rounded up to 1 us."""
    tat, limit, before = state
    ahead = min(_ceil(tat - now * limit, limit * _US), before)
    return _ceil(ahead * span, before) * _US


def _ceil(amount: int, divisor: int) -> int:
    return -(-amount // divisor)


_CELLS = CellRate()
RULES: dict[Algorithm, Rule] = {
    Algorithm.FIXED_WINDOW: FixedWindow(),
    Algorithm.SLIDING_WINDOW: _CELLS,
    Algorithm.TOKEN_BUCKET: _CELLS,
}


class Counted(NamedTuple):
    """What came of one charge.

    Attributes:
        state: Of the counter from now on; the same object if it is as it was.
        standing: What to tell.
    """

    state: State | None
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
    takes, looks = True, []
    for charge, state in zip(charges, states, strict=True):
        rule = RULES[charge.algorithm]
        followed, available = rule.look(state, charge, now)
        refused = charge.cost > available
        if refused and not (charge.shadow or best_effort):
            takes = False
        looks.append((rule, charge, followed, available, refused))
    return [_counted(*look, now, takes=takes) for look in looks]


def _counted(
    rule: Rule,
    charge: Charge,
    state: State | None,
    available: int,
    refused: bool,
    now: int,
    *,
    takes: bool,
) -> Counted:
    amount = min(charge.cost, available) if takes else 0
    if amount:
        state = rule.after(state, charge, amount, now)
    return Counted(state, rule.stand(state, charge, amount, now, refused=refused))
