"""The plainest account of limits, in fractions: what requests are to be answered.

It keeps what is there, and lets it grow with time; the adapter keeps when all is there again, in
whole numbers. Neither has anything of the other.
"""

import math
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass
class ModelLimit:
    """One limit; times are in seconds.

    Attributes:
        name: Of its quota.
        most: In each window.
        window: Its length.
        burst: What there is at once; None for a fixed window.
        shadow: Whether it only counts.
    """

    name: str
    most: int
    window: Fraction
    burst: int | None
    shadow: bool
    _there: Fraction = field(init=False)
    _since: Fraction | None = None

    def __post_init__(self) -> None:
        self._there = Fraction(self._all)

    @property
    def _all(self) -> int:
        return self.most if self.burst is None else self.burst

    def pass_to(self, now: Fraction, elapsed: Fraction) -> None:
        """Let time pass."""
        if self.burst is not None:
            self._there = min(Fraction(self.burst), self._there + elapsed * self.most / self.window)
        elif self._since is not None and now >= self._since + self.window:
            self._there, self._since = Fraction(self.most), None

    @property
    def left(self) -> int:
        """Whole units that are there."""
        return math.floor(self._there)

    def take(self, now: Fraction, amount: int) -> None:
        """Take what is there."""
        self._there -= amount
        if self._since is None and amount:
            self._since = now

    def reset(self, now: Fraction) -> Fraction:
        """Seconds until all is there."""
        if self.burst is not None:
            return (self.burst - self._there) * self.window / self.most
        return self.window if self._since is None else self._since + self.window - now

    def wait(self, now: Fraction, amount: int) -> Fraction | None:
        """Seconds until an amount is there; None for never."""
        if amount > self._all:
            return None
        if self.burst is not None:
            return (amount - self._there) * self.window / self.most
        return self.reset(now)


@dataclass
class Model:
    """Several limits at once."""

    limits: list[ModelLimit]
    now: Fraction = Fraction(0)

    def advance(self, seconds: Fraction) -> None:
        """Let time pass."""
        self.now += seconds
        for limit in self.limits:
            limit.pass_to(self.now, seconds)

    def ask(self, cost: int) -> dict[str, str]:
        """The headers that tell of a request, and ``retry-after`` where it is refused."""
        real = [one for one in self.limits if not one.shadow]
        refusing = [one for one in real if one.left < cost]
        if refusing:
            waits = [one.wait(self.now, cost) for one in refusing]
            told = {"ratelimit": self._told(refusing[:1])}
            known = [one for one in waits if one is not None]
            if len(known) < len(waits):
                return told
            return told | {"retry-after": str(max(1, math.ceil(max(known))))}
        for one in self.limits:
            one.take(self.now, min(cost, one.left))
        return {"ratelimit": self._told(real)} if real else {}

    def _told(self, limits: list[ModelLimit]) -> str:
        return ", ".join(
            f'"{one.name}";r={one.left};t={math.ceil(one.reset(self.now))}' for one in limits
        )
