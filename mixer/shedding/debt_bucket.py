"""A token bucket that lends: whoever finds it not empty takes what is needed, and it pays later."""

from mixer.shedding.bounds import RateBound


class DebtBucket:
    """Holds a rate in the long run, whatever the size of a request.

    A bucket that gives only what it has refuses for ever a batch that is larger than its burst, and
    one that waits to be full for it lets small requests starve it. Here a batch of any size has the
    chance of a request of one. What it takes too much is owed, and until then nothing is given.

    Args:
        bound: Rate and burst.
        now: Seconds of a clock.
    """

    __slots__ = ("_bound", "_refilled", "tokens")

    def __init__(self, bound: RateBound, now: float) -> None:
        self._bound = bound
        self.tokens = float(bound.burst)
        self._refilled = now

    def refill(self, now: float) -> None:
        """Add what came since the last time; a clock that goes back adds nothing."""
        if now > self._refilled:
            earned = (now - self._refilled) * self._bound.per_second
            self.tokens = min(float(self._bound.burst), self.tokens + earned)
        self._refilled = now

    def take(self, cost: int) -> None:
        """Take tokens, also such as are not there."""
        self.tokens -= cost

    @property
    def has_some(self) -> bool:
        """Whether there is one at least."""
        return self.tokens >= 1

    @property
    def wait(self) -> float:
        """Seconds until there is one again."""
        return max(0.0, (1 - self.tokens) / self._bound.per_second)
