"""What every implementation has to answer, as simple as it can be said, in fractions."""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

from mixer.state.quota import Algorithm, Answer, Charge, Standing, Take


@dataclass
class _Window:
    start: int
    used: int


@dataclass
class Model:
    """Counters that are never given up."""

    windows: dict[tuple[str, bytes], _Window] = field(default_factory=dict)
    tats: dict[tuple[str, bytes], tuple[Fraction, int, int]] = field(default_factory=dict)
    answers: dict[tuple[str, bytes, int], tuple[int, int, Answer]] = field(default_factory=dict)

    def take(self, vm_id: str, take: Take, now: int) -> Answer:
        known = (vm_id, take.dedup_id, len(take.charges))
        if take.dedup_id and self.answers.get(known, (0,))[0] > now:
            _, at, first = self.answers[known]
            return Answer(tuple([_later(one, max(0, now - at)) for one in first.standings]))
        refused = [self._available(vm_id, one, now) < one.cost for one in take.charges]
        enforced = (no and not one.shadow for no, one in zip(refused, take.charges, strict=True))
        takes = take.best_effort or not any(enforced)
        standings = (
            self._charge(vm_id, one, now, refused=no, takes=takes)
            for no, one in zip(refused, take.charges, strict=True)
        )
        answer = Answer(tuple(standings))
        if take.dedup_id:
            self.answers[known] = now + take.dedup_window_ns, now, answer
        return answer

    def _charge(self, vm_id: str, one: Charge, now: int, *, refused: bool, takes: bool) -> Standing:
        available = self._available(vm_id, one, now)
        amount = min(one.cost, available) if takes else 0
        fixed = one.algorithm is Algorithm.FIXED_WINDOW
        most = one.limit if fixed else one.burst or one.limit
        if fixed:
            reset = retry = self._move_window(vm_id, one, now, amount)
        else:
            reset, retry = self._move_tat(vm_id, one, now, amount)
        left = self._available(vm_id, one, now)
        return Standing(
            max(0, amount), refused, left, reset, retry if refused and one.cost <= most else 0
        )

    def _available(self, vm_id: str, one: Charge, now: int) -> int:
        if one.algorithm is Algorithm.FIXED_WINDOW:
            window = self._window(vm_id, one, now)
            return max(0, one.limit - window.used) if window else one.limit
        ahead = self._tat(vm_id, one, now) - now
        step = Fraction(one.window_ns, one.limit)
        return floor(((one.burst or one.limit) * step - ahead) / step)

    def _window(self, vm_id: str, one: Charge, now: int) -> _Window | None:
        window = self.windows.get((vm_id, one.key))
        if window is None or now >= window.start + one.window_ns:
            self.windows.pop((vm_id, one.key), None)
            return None
        if window.start - now > one.window_ns:
            window.start = now
        return window

    def _move_window(self, vm_id: str, one: Charge, now: int, amount: int) -> int:
        window = self._window(vm_id, one, now)
        if window is not None:
            window.used = max(0, window.used + amount)
        elif amount > 0:
            window = self.windows[vm_id, one.key] = _Window(now, amount)
        end = (now if window is None else window.start) + one.window_ns
        return min(one.window_ns, end - now)

    def _tat(self, vm_id: str, one: Charge, now: int) -> Fraction:
        tat, limit, before = self.tats.pop((vm_id, one.key), (Fraction(0), 0, 0))
        if tat <= now:
            return Fraction(now)
        all_of_it = (one.burst or one.limit) * Fraction(one.window_ns, one.limit)
        span = ceil(all_of_it / 1000)
        if (limit, before) != (one.limit, span):
            taken = Fraction(min(ceil((tat - now) / 1000), before), before)
            tat = Fraction(now + ceil(taken * span) * 1000)
        tat = min(tat, now + all_of_it)
        self.tats[vm_id, one.key] = tat, one.limit, span
        return tat

    def _move_tat(self, vm_id: str, one: Charge, now: int, amount: int) -> tuple[int, int]:
        step = Fraction(one.window_ns, one.limit)
        tat = max(Fraction(now), self._tat(vm_id, one, now) + amount * step)
        burst = one.burst or one.limit
        if amount:
            self.tats[vm_id, one.key] = tat, one.limit, ceil(burst * step / 1000)
        return ceil(tat - now), ceil(tat + one.cost * step - burst * step - now)


def _later(one: Standing, elapsed: int) -> Standing:
    reset, retry = max(0, one.reset_ns - elapsed), max(0, one.retry_after_ns - elapsed)
    return one._replace(reset_ns=reset, retry_after_ns=retry)
