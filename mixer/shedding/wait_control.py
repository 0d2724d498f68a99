"""Which share of the requests to refuse, so that the others wait no longer than they may.

A controller as in RFC 8033 (PIE): the share grows with the excess of the wait over the threshold,
and with the speed at which the wait grows; it shrinks by the same rule. Two differences. It begins
only when the wait has been above the threshold for a while, as in RFC 8289 (CoDel): a moment in
which the service was busy with something else is no load. And the gains are relative to the
threshold, which is some tens of milliseconds here and may be anything.
"""

from mixer.shedding.bounds import WaitBound

LARGEST_SHARE = 0.98
"""Some are always served: even where refusing costs as much as serving, it is not all in vain."""

_GROWTH = 0.1
_DAMPING = 0.125
_WORST = 4.0
_CALM = 0.5
_STALE_WINDOWS = 10
_STALE_S = 2.0


class WaitControl:
    """Is told waits, and tells a share.

    Args:
        bound: Threshold and window.
        now: Seconds of a clock.

    Attributes:
        share: Of the requests that are to be refused now, from 0 to `LARGEST_SHARE`.
        wait: The last one that was told, in seconds.
    """

    __slots__ = ("_above_since", "_bound", "_told", "share", "wait")

    def __init__(self, bound: WaitBound, now: float) -> None:
        self._bound = bound
        self._told = now
        self._above_since: float | None = None
        self.share = 0.0
        self.wait = 0.0

    @property
    def threshold(self) -> float:
        """Seconds."""
        return self._bound.threshold

    def tell(self, wait: float, now: float) -> None:
        """Take over a wait.

        Args:
            wait: Seconds that a caller waited, or has waited so far.
            now: Seconds of the clock.
        """
        elapsed = min(max(now - self._told, 0.0), self.threshold)
        before, self.wait, self._told = self.wait, wait, now
        if wait <= self.threshold:
            self._above_since = None
        elif self._above_since is None or now < self._above_since:
            self._above_since = now
        if self.share or self._stays_above(now):
            self._adapt(before, wait, elapsed)

    def _stays_above(self, now: float) -> bool:
        return self._above_since is not None and now - self._above_since >= self._bound.window

    def _adapt(self, before: float, wait: float, elapsed: float) -> None:
        times, times_before = (min(w / self.threshold, _WORST) for w in (wait, before))
        growth = _GROWTH * elapsed / self.threshold * (times - 1)
        share = self.share + growth + _DAMPING * (times - times_before)
        if times <= _CALM:
            share *= _CALM ** (elapsed / self.threshold)
        self.share = min(max(share, 0.0), LARGEST_SHARE)

    def forget_if_stale(self, now: float) -> None:
        """Refuse nothing for a wait that was told long ago, whatever became of who tells them."""
        if abs(now - self._told) > max(_STALE_S, _STALE_WINDOWS * self._bound.window):
            self.share, self.wait, self._above_since = 0.0, 0.0, None
