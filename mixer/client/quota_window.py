"""How much was asked for lately."""

_SLOTS = 20


class RecentAmounts:
    """The sum of the amounts of a window that slides in steps of a twentieth.

    Args:
        window: Its length in nanoseconds.
        now: Nanoseconds, monotonic.
    """

    __slots__ = ("_amounts", "_began", "_slot", "_step", "total")

    def __init__(self, window: int, now: int) -> None:
        self._step = max(1, window // _SLOTS)
        self._amounts = [0] * _SLOTS
        self._slot = 0
        self._began = now
        self.total = 0

    def slide(self, now: int) -> None:
        """Leave out what is no longer in the window; `total` is of now after that."""
        steps = (now - self._began) // self._step
        self._began += steps * self._step
        for _ in range(min(steps, _SLOTS)):
            self._slot = (self._slot + 1) % _SLOTS
            self.total -= self._amounts[self._slot]
            self._amounts[self._slot] = 0

    def add(self, amount: int) -> None:
        """Count an amount now; after `slide`."""
        self._amounts[self._slot] += amount
        self.total += amount
